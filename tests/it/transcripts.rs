//! What a person types and sees: the README's examples and more, run against
//! the stand-in.

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .case("README.md")
        .case("tests/transcripts/*.trycmd")
        .env("COLUMNS", "80");
}
