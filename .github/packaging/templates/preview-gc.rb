class PreviewGc < Formula
  desc "Garbage collector for the Neon branches and Cloudflare resources of previews"
  homepage "https://github.com/@REPOSITORY@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "@URL@/preview-gc-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256_AARCH64_APPLE_DARWIN@"
    end
    on_intel do
      url "@URL@/preview-gc-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256_X86_64_APPLE_DARWIN@"
    end
  end

  on_linux do
    on_arm do
      url "@URL@/preview-gc-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256_AARCH64_UNKNOWN_LINUX_MUSL@"
    end
    on_intel do
      url "@URL@/preview-gc-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256_X86_64_UNKNOWN_LINUX_MUSL@"
    end
  end

  def install
    bin.install "preview-gc"
    man1.install Dir["man/*"]
    bash_completion.install "completions/preview-gc.bash" => "preview-gc"
    zsh_completion.install "completions/_preview-gc"
    fish_completion.install "completions/preview-gc.fish"
    pkgshare.install "policies"
  end

  test do
    assert_match "garbage", shell_output("#{bin}/preview-gc audit --sandbox")
  end
end
