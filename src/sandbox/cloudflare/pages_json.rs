//! Pages projects and deployments with all the fields that the documents
//! require.

use serde_json::{Value, json};

use super::answer::{put, text};
use super::identity::{moment, stable};
use super::pages::{Deployment, Project};

impl Project {
    /// The project in answers.
    pub(super) fn to_json(&self, name: &str) -> Value {
        let config = json!({
            "always_use_latest_compatibility_date": false,
            "build_image_major_version": 3,
            "compatibility_date": "2025-01-01",
            "compatibility_flags": [],
            "env_vars": null,
            "fail_open": true,
            "usage_model": "standard",
        });
        let config = |at: usize| {
            let mut config = config.clone();
            for binding in &self.bindings[at] {
                if let Some((map, name, item)) = binding.pages() {
                    config[map][name] = item;
                }
            }
            config
        };
        let latest = self
            .deployments
            .first()
            .map(|deployment| self.draw_deployment(name, deployment));
        let active = self
            .active()
            .map(|deployment| self.draw_deployment(name, deployment));
        let mut shown = json!({
            "id": self.id,
            "name": name,
            "subdomain": format!("{name}.pages.dev"),
            "domains": [format!("{name}.pages.dev")],
            "production_branch": self.production_branch,
            "production_script_name": format!("pages-worker--{name}-production"),
            "preview_script_name": format!("pages-worker--{name}-preview"),
            "framework": "",
            "framework_version": "",
            "uses_functions": false,
            "build_config": build_config(),
            "deployment_configs": { "preview": config(0), "production": config(1) },
            "latest_deployment": latest,
            "canonical_deployment": active,
        });
        put(&mut shown, "created_on", self.created.map(moment));
        shown
    }

    /// One of its deployments in answers.
    pub(super) fn draw_deployment(&self, name: &str, deployment: &Deployment) -> Value {
        let attribute = |field: &str| text(&deployment.attributes, field).map(ToOwned::to_owned);
        let short = deployment.id.get(..8).unwrap_or(&deployment.id);
        let hash = attribute("commit_hash")
            .unwrap_or_else(|| format!("{}{}", stable(&["commit", &deployment.id]), "0".repeat(8)));
        let time = deployment.created.map(moment);
        let stages: Vec<Value> = ["queued", "initialize", "clone_repo", "build", "deploy"]
            .iter()
            .map(|stage| {
                let status = if *stage == "deploy" {
                    deployment.status()
                } else {
                    "success"
                };
                json!({ "name": stage, "started_on": time, "ended_on": time, "status": status })
            })
            .collect();
        let environment = if deployment.production {
            "production"
        } else {
            "preview"
        };
        let mut shown = json!({
            "id": deployment.id,
            "short_id": short,
            "project_id": self.id,
            "project_name": name,
            "environment": environment,
            "url": attribute("url").unwrap_or_else(|| format!("https://{short}.{name}.pages.dev")),
            "aliases": null,
            "latest_stage": stages.last(),
            "stages": stages,
            "deployment_trigger": {
                "type": "github:push",
                "metadata": {
                    "branch": deployment.branch,
                    "commit_hash": hash,
                    "commit_message": attribute("commit_message").unwrap_or_default(),
                    "commit_dirty": false,
                },
            },
            "env_vars": {},
            "build_config": build_config(),
            "uses_functions": false,
            "is_skipped": false,
        });
        // A direct upload has no source.
        if let Some((owner, repository)) = attribute("repository")
            .as_deref()
            .and_then(|repository| repository.split_once('/'))
        {
            shown["source"] = json!({
                "type": "github",
                "config": {
                    "owner": owner,
                    "owner_id": "1",
                    "repo_name": repository,
                    "repo_id": "1",
                    "production_branch": self.production_branch,
                    "pr_comments_enabled": true,
                    "deployments_enabled": true,
                    "production_deployments_enabled": true,
                    "preview_deployment_setting": "all",
                    "preview_branch_includes": ["*"],
                    "preview_branch_excludes": [],
                    "path_includes": ["*"],
                    "path_excludes": [],
                },
            });
        }
        if !deployment.aliases.is_empty() {
            shown["aliases"] = json!(deployment.aliases);
        }
        put(&mut shown, "created_on", time.clone());
        put(&mut shown, "modified_on", time);
        shown
    }
}

fn build_config() -> Value {
    json!({
        "build_caching": false,
        "build_command": "",
        "destination_dir": "",
        "root_dir": "",
        "web_analytics_tag": null,
        "web_analytics_token": null,
    })
}
