//! The compose profile that watches: what it mounts is there, and what it asks for is a service of the file.

use serde_json::Value;

use super::{path, read};

const PROFILE: &str = "observability";

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn list<'v>(value: &'v Value, pointer: &str) -> Vec<&'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

#[test]
fn the_profile_has_pinned_images_and_files_that_are_there() {
    let compose = yaml("compose.yaml");
    let services = compose["services"].as_object().unwrap();
    let watching = services.iter().filter(|(_, service)| service["profiles"][0] == PROFILE);
    let mut names = Vec::new();
    for (name, service) in watching {
        let (_, tag) = service["image"].as_str().and_then(|image| image.rsplit_once(':')).unwrap();
        assert!(tag.chars().filter(|letter| *letter == '.').count() == 2, "{name} is pinned to a version: {tag}");
        for mount in list(service, "/volumes").into_iter().filter_map(Value::as_str) {
            let source = mount.split(':').next().unwrap();
            assert!(!source.starts_with('.') || path(source).exists(), "{name} mounts {source}");
        }
        names.push(name.as_str());
    }
    names.sort_unstable();
    assert_eq!(names, ["grafana", "jaeger", "prometheus"]);
}

#[test]
fn prometheus_asks_a_service_of_the_file_and_reads_the_alerts() {
    let prometheus = yaml("infra/observability/prometheus/prometheus.yml");
    let compose = yaml("compose.yaml");
    let files = list(&prometheus, "/rule_files");
    assert_eq!(files, ["alerts.yml"]);
    let jobs = list(&prometheus, "/scrape_configs");
    let targets: Vec<&str> = jobs
        .iter()
        .flat_map(|job| list(job, "/static_configs"))
        .flat_map(|config| list(config, "/targets"))
        .filter_map(Value::as_str)
        .collect();
    assert!(targets.contains(&"docket:9090"), "{targets:?}");
    for target in targets {
        let (host, _) = target.split_once(':').unwrap();
        assert!(compose["services"].get(host).is_some(), "no service {host}");
    }
}

#[test]
fn the_alerts_and_both_scrapes_say_the_same_job() {
    let names = |file: &str| -> Vec<String> {
        let jobs = yaml(file);
        list(&jobs, "/scrape_configs").iter().map(|job| job["job_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("infra/observability/prometheus/prometheus.yml"), ["docket"]);
    assert_eq!(names("infra/observability/prometheus/kubernetes.yml"), ["docket"]);
    assert!(read("infra/observability/prometheus/alerts.yml").contains("up{job=\"docket\"}"));
}

#[test]
fn what_grafana_is_provisioned_with_is_where_it_looks() {
    let provider = yaml("infra/observability/grafana/provisioning/dashboards/docket.yml");
    let folder = provider.pointer("/providers/0/options/path").and_then(Value::as_str).unwrap();
    let compose = yaml("compose.yaml");
    let mounts = list(&compose, "/services/grafana/volumes");
    let mount = mounts.iter().filter_map(|mount| mount.as_str()).find(|mount| mount.contains(&format!(":{folder}:")));
    assert!(mount.is_some_and(|mount| mount.starts_with("./infra/observability/grafana/dashboards:")), "{mounts:?}");
    let sources = yaml("infra/observability/grafana/provisioning/datasources/docket.yml");
    let hosts = list(&sources, "/datasources").into_iter().filter_map(|source| source["url"].as_str());
    for url in hosts {
        let host = url.trim_start_matches("http://").split(':').next().unwrap();
        assert!(compose["services"].get(host).is_some(), "no service {host}");
    }
}
