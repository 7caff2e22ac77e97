//! A service that is right, and what is said of one that is not.

use crate::manifests::sources::Sources;
use docket_manifests::Cluster;

const RIGHT: &str = include_str!("tests/orders.yaml");

fn sources() -> Sources {
    let text = str::to_owned;
    Sources {
        services: [text("orders")].into(),
        keeping: [text("orders")].into(),
        mailing: [text("orders")].into(),
        settings: [
            "DOCKET_HTTP_ADDR",
            "DOCKET_OPS_ADDR",
            "DOCKET_DRAIN_SECONDS",
            "DOCKET_SHUTDOWN_GRACE_SECONDS",
            "NATS_URL",
            "DOCKET_STREAM_MIB",
            "SMTP_URL",
        ]
        .map(text)
        .into(),
        addresses: [(text("/api/orders/{id}"), text("orders"))].into(),
        called_by_pages: [text("orders")].into(),
        listeners: [(text("orders"), text("tickets"))].into(),
        streams: [text("tickets"), text("users")].into(),
        followers: [].into(),
        handbook: text("users() { for user in $@ orders; do\nkubectl create secret generic nats-users --from-env-file"),
    }
}

/// What is found when every `from` is `to`.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(RIGHT.contains(from), "{from}");
    super::findings(&Cluster::parse(&RIGHT.replace(from, to)).unwrap(), &sources())
}

fn is_found(from: &str, to: &str, expected: &str) {
    let found = changed(from, to);
    assert!(found.iter().any(|finding| finding.contains(expected)), "{expected} is not in {found:#?}");
}

#[test]
fn what_is_right_is_found_right() {
    let found = changed("orders", "orders");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_removed_probe_is_found() {
    is_found("readinessProbe: ", "probe: ", "has no readinessProbe");
    is_found("path: /readyz", "path: /livez", "the readinessProbe does not ask /readyz on the port ops");
}

#[test]
fn a_service_without_its_folder_is_found() {
    let mut sources = sources();
    sources.services.insert("tickets".to_owned());
    sources.keeping.insert("tickets".to_owned());
    let found = super::findings(&Cluster::parse(RIGHT).unwrap(), &sources);
    assert!(found.contains(&"the service tickets has no Deployment: its folder in base/ makes one".to_owned()));
    assert!(found.iter().any(|finding| finding.starts_with("tickets has no user of its own at NATS")));
    assert!(found.contains(&"docs/operations.md makes no passwords for tickets".to_owned()));
}

#[test]
fn a_deployment_without_a_crate_is_found() {
    let mut sources = sources();
    sources.services.clear();
    let found = super::findings(&Cluster::parse(RIGHT).unwrap(), &sources);
    assert!(found.contains(&"orders is no crate in services/".to_owned()));
}

#[test]
fn a_port_that_differs_is_found() {
    is_found("containerPort: 8080", "containerPort: 8081", "DOCKET_HTTP_ADDR has port Some(8080)");
    is_found("0.0.0.0:9090", "0.0.0.0:9091", "DOCKET_OPS_ADDR has port Some(9091)");
    is_found(
        "prometheus.io/port: \"9090\"",
        "prometheus.io/port: \"9\"",
        "its metrics are looked for on port Some(\"9\")",
    );
    is_found("targetPort: http", "targetPort: web", "has no port \"web\"");
}

#[test]
fn a_variable_that_is_no_setting_is_found() {
    is_found("DOCKET_DRAIN_SECONDS: ", "DOCKET_DRIAN_SECONDS: ", "DOCKET_DRIAN_SECONDS is no setting");
}

#[test]
fn a_stop_without_time_is_found() {
    is_found("terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 30", "a stop may take 45 s");
    is_found("sleep: { seconds: 5 }", "sleep: {}", "no preStop sleep");
}

#[test]
fn a_broker_that_hands_over_to_nobody_is_found_and_one_that_drops_its_clients() {
    let server = "metadata: { name: nats }\nspec:\n  template:";
    let three = "metadata: { name: nats }\nspec:\n  replicas: 3\n  template:";
    is_found(server, three, "it ends without handing its clients over");
    let container = "        - name: nats\n          envFrom:";
    let waits = "        - name: nats\n          lifecycle: { preStop: { sleep: { seconds: 5 } } }\n          envFrom:";
    is_found(container, waits, "nobody to hand its clients over to");
}

#[test]
fn a_pod_that_may_too_much_is_found() {
    is_found("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem is not true");
    is_found("drop: [ALL]", "add: [ALL]", "capabilities are not dropped");
    is_found("limits: { memory: 1Gi }", "limits: {}", "no /resources/limits/memory");
}

#[test]
fn a_call_that_no_policy_allows_is_found() {
    is_found(
        "app.kubernetes.io/name: orders } } # out",
        "a: b } }",
        "orders calls nats on port 4222, but no policy lets it out",
    );
    is_found("port: 4222 }] # in", "port: 4223 }]", "orders is to reach nats on port 4222, but no policy lets it in");
    is_found("name: entry", "name: someone", "entry is to reach orders on port 8080");
}

#[test]
fn a_policy_without_a_call_is_found() {
    is_found("@nats:4222", "@elsewhere:4222", "orders may call nats on port 4222, but it does not");
    is_found("@nats:4222", "@elsewhere:4222", "orders may reach nats on port 4222, but it has no reason to");
    is_found(
        "[{ port: 9090 }]",
        "[{ port: 9091 }]",
        "monitoring may reach orders on port 9091, but it has no reason to",
    );
}

#[test]
fn an_open_door_is_found() {
    is_found("policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "no policy denies everything");
    is_found("- ports: [{ port: 53 }]", "- ports: []", "orders may call dns on port 0");
}

#[test]
fn an_address_that_leads_elsewhere_is_found() {
    is_found("path: /api/orders,", "path: /api/order,", "/api/orders/{id} is of orders, and leads to Some(\"web\")");
    is_found("path: /api/dead-letters/orders,", "path: /dead,", "/api/dead-letters/orders is of orders");
}

#[test]
fn a_reference_to_nothing_is_found() {
    is_found("configMap: { name: nats }", "configMap: { name: gnats }", "needs the ConfigMap gnats");
    is_found("secretRef: { name: nats-users }", "secretRef: { name: others }", "needs the Secret others");
}

#[test]
fn a_user_of_nats_that_is_missing_is_found() {
    is_found("include orders.conf", "include others.conf", "orders has no user of its own at NATS");
    is_found("$PASSWORD_orders", "$PASSWORD_auth", "orders has no user of its own at NATS");
}

#[test]
fn pages_with_users_or_variables_of_servers_are_found() {
    let mut sources = sources();
    sources.keeping.clear();
    let found = super::pages::findings(&Cluster::parse(RIGHT).unwrap(), &sources);
    let expected = [
        "is told NATS_PASSWORD",
        "is told NATS_URL",
        "is given the Secret nats-users",
        "orders.conf of NATS has a user for it",
        "docs/operations.md makes a password for it",
    ];
    assert_eq!(found, expected.map(|finding| format!("orders keeps nothing, but {finding}")));
}

#[test]
fn pages_with_a_made_password_or_a_setting_from_a_map_are_found() {
    let mut sources = sources();
    sources.keeping.clear();
    let made = "kind: Secret\nmetadata: { name: nats-users-1f }\ndata: { orders: cA== }\n---\n";
    let told = RIGHT.replace("DOCKET_DRAIN_SECONDS: ", "DOCKET_JWKS_URL: ");
    let found = super::pages::findings(&Cluster::parse(&format!("{made}{told}")).unwrap(), &sources);
    for expected in ["Secret nats-users-1f has a password for it", "is told DOCKET_JWKS_URL"] {
        assert!(found.contains(&format!("orders keeps nothing, but {expected}")), "{found:#?}");
    }
}

#[test]
fn a_mail_server_needs_a_way_out_and_mails() {
    let (from, to) = ("          env:\n", "          env:\n            - { name: SMTP_URL, value: \"\" }\n");
    is_found(from, to, "orders calls smtp on port 587, but no policy lets it out");
    let mut sources = sources();
    sources.mailing.clear();
    let found = super::findings(&Cluster::parse(&RIGHT.replace(from, to)).unwrap(), &sources);
    assert!(found.contains(&"Deployment orders: it sends no mails, but has SMTP_URL".to_owned()), "{found:#?}");
}

#[test]
fn a_permission_that_is_missing_is_found() {
    is_found(
        "$JS.ACK.tickets.orders.>",
        "$JS.ACK.tickets.auth.>",
        "does not let orders publish to $JS.ACK.tickets.orders.>",
    );
    is_found("STREAM.CREATE.users", "STREAM.PURGE.users", "does not let orders publish to $JS.API.STREAM.CREATE.users");
    is_found(
        "CONSUMER.DELETE.users.*",
        "CONSUMER.DELETE.users",
        "does not let orders publish to $JS.API.CONSUMER.DELETE.users.*",
    );
}

#[test]
fn a_stream_with_two_publishers_is_found() {
    let mut sources = sources();
    sources.keeping.insert("auth".to_owned());
    let two = RIGHT.replace("  orders.conf: |", "  auth.conf: |\n    allow: [ \"users.v1.>\" ]\n  orders.conf: |");
    let found = super::findings(&Cluster::parse(&two).unwrap(), &sources);
    assert!(found.iter().any(|finding| finding.contains("publish events of users; one owns them")), "{found:#?}");
}

#[test]
fn a_stream_that_its_owner_cannot_change_is_found() {
    is_found(
        "$JS.API.STREAM.UPDATE.users",
        "$JS.API.STREAM.UPDATE.shows",
        "NATS lets [] change the stream users, whose owner is [\"orders\"]",
    );
}

#[test]
fn streams_that_reserve_more_than_nats_has_are_found() {
    let from = "DOCKET_STREAM_MIB: \"512\"";
    is_found(
        from,
        "DOCKET_STREAM_MIB: \"1000\"",
        "the streams reserve 2097152000 bytes, and NATS has room for 2000000000",
    );
    is_found(from, "DOCKET_STREAM_MIB: as it likes", "nobody knows whether NATS has room for the streams");
}

#[test]
fn a_stream_without_a_publisher_is_found() {
    is_found("\"tickets.v1.>\"", "\"shows.v1.>\"", "NATS lets [] publish events of tickets");
}

#[test]
fn an_autoscaler_by_a_wrong_consumer_is_found() {
    is_found("stream: tickets", "stream: shows", "ScaledObject orders: consumer orders of stream shows");
    is_found(
        "scaleTargetRef: { name: orders }",
        "scaleTargetRef: { name: others }",
        "Deployment orders has 0 autoscalers",
    );
    is_found("strategy: {}", "replicas: 2", "a number of replicas beside its autoscaler");
}
