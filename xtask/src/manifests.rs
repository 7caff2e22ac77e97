//! What runs Docket elsewhere: the manifests of every overlay, rendered and held against the code, and the Dockerfile.
//! No cluster is needed.

mod broker;
mod cluster;
mod keeper;
mod pipelines;
mod rules;
mod sources;
mod tools;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::run::{announce, run};
use crate::tidy::files;
use broker::Broker;
use cluster::Cluster;
use keeper::Kept;
use sources::Sources;
use tools::Tools;

const OVERLAYS: &str = "infra/k8s/overlays";

/// The overlay that skaffold applies.
const LOCAL: &str = "dev";

/// Everybody's password at the server that is asked who may do what.
const PASSWORD: &str = "secret";

/// Kinds which clusters learn from others, so that Kubernetes itself has no schema of them.
const EXTENSIONS: [&str; 4] = ["Certificate", "Gateway", "HTTPRoute", "ScaledObject"];

/// Renders all overlays, and checks them and what else describes how Docket is run.
pub(crate) fn manifests() -> Result {
    let tools = Tools::ready()?;
    let files = files::read(Path::new("."))?;
    let sources = Sources::read(&files)?;
    let mut findings = pipelines::moving_actions(&files);
    for overlay in overlays()? {
        findings.extend(overlay_findings(&overlay, &tools, &sources)?);
    }
    findings
        .extend(pipelines::images(&serde_saphyr::from_str(&fs::read_to_string("skaffold.yaml")?)?, &local(&tools)?));
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    lint_dockerfile(&tools)?;
    check_schemas(&tools, &files)?;
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}

fn overlays() -> Result<Vec<String>> {
    let entries = fs::read_dir(OVERLAYS)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    if names.is_empty() { Err(format!("there is nothing in {OVERLAYS}").into()) } else { Ok(names) }
}

fn overlay_findings(overlay: &str, tools: &Tools, sources: &Sources) -> Result<Vec<String>> {
    let folder = crate::test::target().join("manifests").join(overlay);
    fs::create_dir_all(&folder)?;
    let rendered = render(overlay, tools)?;
    let file = folder.join("rendered.yaml");
    fs::write(&file, &rendered)?;
    let cluster = Cluster::parse(&rendered)?;
    let mut findings = schema_findings(&file, tools)?;
    findings.extend(rules::findings(&cluster, sources));
    check_nats(&cluster, &folder)?;
    // One member is enough to ask who may do what; more would wait for each other.
    if overlay == LOCAL {
        findings.extend(refusal_findings(&cluster, sources, &folder)?);
        findings.extend(keeper_findings(&cluster, sources, &folder, tools)?);
    }
    eprintln!("{overlay}: {} objects looked at", cluster.len());
    Ok(findings.into_iter().map(|finding| format!("{OVERLAYS}/{overlay}: {finding}")).collect())
}

fn local(tools: &Tools) -> Result<Cluster> {
    Cluster::parse(&render(LOCAL, tools)?)
}

fn render(overlay: &str, tools: &Tools) -> Result<String> {
    let mut command = tools.command("kubectl");
    command.args(["kustomize", &format!("{OVERLAYS}/{overlay}")]);
    output(command)
}

/// What Kubernetes's own schemas say, which know all fields and no others.
fn schema_findings(file: &Path, tools: &Tools) -> Result<Vec<String>> {
    let mut command = tools.command("kubernetes-validate");
    command.arg("--strict").arg(file);
    announce(&command);
    let output = command.output()?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let findings = schema_complaints(&said);
    if findings.is_empty() && !output.status.success() { Err(said.into()) } else { Ok(findings) }
}

fn schema_complaints(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| !line.starts_with("INFO ") && !is_extension(line));
    lines.map(str::to_owned).collect()
}

fn is_extension(line: &str) -> bool {
    let kind = line.split_once("find schema for kind ").and_then(|(_, rest)| rest.split(' ').next());
    kind.is_some_and(|kind| EXTENSIONS.contains(&kind))
}

/// Has the server itself read its configuration.
fn check_nats(cluster: &Cluster, folder: &Path) -> Result {
    let mut command = nats_server(cluster, folder)?;
    command.args(["-t", "-c"]).arg(folder.join("nats.conf"));
    run(command)
}

/// Has a server with the rendered users refuse everybody what is not theirs.
fn refusal_findings(cluster: &Cluster, sources: &Sources, folder: &Path) -> Result<Vec<String>> {
    let broker = Broker::start(nats_server(cluster, folder)?, folder)?;
    let mut findings = Vec::new();
    for service in &sources.keeping {
        findings.extend(broker.findings(service, PASSWORD, &rules::rights(cluster, sources, service))?);
        if broker.lets_in(service, "guessed") {
            findings.push(format!("NATS lets {service} in without its password"));
        }
    }
    let strangers = sources.services.difference(&sources.keeping);
    let let_in = strangers.filter(|service| broker.lets_in(service, PASSWORD));
    findings.extend(let_in.map(|service| format!("NATS lets {service} in, which keeps nothing")));
    Ok(findings)
}

/// Has the keeper make MongoDB's users, and tries what they may.
fn keeper_findings(cluster: &Cluster, sources: &Sources, folder: &Path, tools: &Tools) -> Result<Vec<String>> {
    let Some(keeper) = rules::keeper(cluster) else { return Err("no MongoDB with a keeper".into()) };
    let mongod = binaries(true)?.mongod.ok_or("mongod was not found")?;
    Kept::start(&mongod, &tools.mongosh(), folder, &sources.keeping)?.findings(keeper)
}

/// The server, with a password for everybody, and its configuration in `folder`.
fn nats_server(cluster: &Cluster, folder: &Path) -> Result<Command> {
    let Some(files) = rules::nats_files(cluster) else { return Err("no NATS server with a configuration".into()) };
    let mut command = Command::new(binaries(false)?.nats.ok_or("nats-server was not found")?);
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
        command.envs(rules::passwords_in(text).into_iter().map(|variable| (variable, PASSWORD)));
    }
    command.env("POD_NAME", "nats-0");
    Ok(command)
}

/// Finds or installs one of the servers.
#[tokio::main]
async fn binaries(mongod: bool) -> Result<docket_local::Binaries> {
    let defaults = docket_local::Options::for_tests(crate::test::target());
    let options = docket_local::Options { servers_dir: crate::test::servers_dir(), mongod, nats: !mongod, ..defaults };
    Ok(docket_local::install(&options).await?)
}

fn lint_dockerfile(tools: &Tools) -> Result {
    let mut command = tools.command("hadolint");
    command.arg("Dockerfile");
    run(command)
}

/// Schemas that the tool brings along.
fn check_schemas(tools: &Tools, files: &[files::File]) -> Result {
    for (schema, checked) in
        [("vendor.compose-spec", vec!["compose.yaml"]), ("vendor.github-workflows", pipelines::workflows(files))]
    {
        let mut command = tools.command("check-jsonschema");
        command.args(["--builtin-schema", schema]).args(checked);
        run(command)?;
    }
    Ok(())
}

fn output(mut command: Command) -> Result<String> {
    let shown = announce(&command);
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_schema_is_a_finding_unless_its_kind_is_known() {
        let said = "INFO a passed for resource service/a against version 1.37\n\
            WARN a Couldn't find schema for kind HTTPRoute with api version gateway.networking.k8s.io/v1\n\
            WARN a Couldn't find schema for kind Deploymnt with api version apps/v1\n\
            ERROR a did not validate";
        let found = schema_complaints(said);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("Deploymnt"));
    }
}
