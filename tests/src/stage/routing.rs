//! The overlay's Ingresses and Services, as Traefik's file provider has them.

use docket_manifests::{Cluster, Object, list};
use serde_json::{Map, Value, json};

use super::endpoints::Ready;

/// The entry points: what comes from outside, and what pods call each other by.
pub(super) const OUTSIDE: &str = "outside";
pub(super) const INSIDE: &str = "inside";

/// What leads where, whoever stands there.
pub(super) struct Routing {
    routers: Map<String, Value>,
    middlewares: Map<String, Value>,
}

impl Routing {
    /// The paths of all Ingresses, and an address within the cluster for each of these Services.
    pub(super) fn new(cluster: &Cluster, services: &[&str]) -> Self {
        let mut routing = Self { routers: Map::new(), middlewares: Map::new() };
        for ingress in cluster.of("Ingress") {
            for (nth, router) in routers(ingress).into_iter().enumerate() {
                routing.routers.insert(format!("{}-{nth}", ingress.name()), router);
            }
        }
        for service in services {
            routing.lead_inside(service);
        }
        routing
    }

    /// `http://orders:8080/api/orders` is called as `/orders/api/orders` at one port: no name has an address here. On a cluster,
    /// connections are dealt out among the pods of a Service; here, as by an Ingress, requests are.
    fn lead_inside(&mut self, service: &str) {
        let name = format!("inside-{service}");
        let router = json!({
            "entryPoints": [INSIDE], "rule": format!("PathPrefix(`/{service}/`)"),
            "middlewares": [name], "service": service,
        });
        self.middlewares.insert(name.clone(), json!({ "stripPrefix": { "prefixes": [format!("/{service}")] } }));
        self.routers.insert(name, router);
    }

    /// The whole, with those who are ready.
    pub(super) fn to(&self, ready: &Ready) -> Value {
        let services = ready.iter().map(|(service, addresses)| {
            let servers = addresses.iter().map(|address| json!({ "url": format!("http://{address}") }));
            (service.clone(), json!({ "loadBalancer": { "servers": servers.collect::<Vec<_>>() } }))
        });
        let services: Map<String, Value> = services.collect();
        json!({ "http": { "routers": self.routers, "middlewares": self.middlewares, "services": services } })
    }
}

/// One router for each path of an Ingress.
fn routers(ingress: &Object) -> Vec<Value> {
    let rules = list(ingress.at("/spec"), "/rules").iter();
    let paths = rules.flat_map(|rule| list(rule, "/http/paths").iter().map(|path| (&rule["host"], path)));
    paths.map(|(host, path)| router(host.as_str(), path)).collect()
}

fn router(host: Option<&str>, path: &Value) -> Value {
    let text = path["path"].as_str().unwrap_or("/");
    let rule = matching(path["pathType"].as_str().unwrap_or_default(), text);
    let rule = host.map_or_else(|| rule.clone(), |host| format!("Host(`{host}`) && {rule}"));
    // Of several prefixes the longest decides. Traefik would take the longest rule.
    let (priority, service) = (text.len(), &path["backend"]["service"]["name"]);
    json!({ "entryPoints": [OUTSIDE], "rule": rule, "priority": priority, "service": service })
}

/// `Prefix` is meant part by part: `/api/orders` is no prefix of `/api/orders-of-mine`.
fn matching(kind: &str, path: &str) -> String {
    match (kind, path.trim_end_matches('/')) {
        ("Exact", _) => format!("Path(`{path}`)"),
        ("Prefix", "") => "PathPrefix(`/`)".to_owned(),
        ("Prefix", path) => format!("(Path(`{path}`) || PathPrefix(`{path}/`))"),
        _ => panic!("what the path type {kind} means is the controller's to say"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "kind: Ingress
metadata: { name: docket }
spec:
  rules:
    - host: docket.localhost
      http:
        paths:
          - { path: /, pathType: Prefix, backend: { service: { name: web, port: { name: http } } } }
          - { path: /api/orders, pathType: Prefix, backend: { service: { name: orders, port: { name: http } } } }
    - http:
        paths: [{ path: /only, pathType: Exact, backend: { service: { name: web, port: { name: http } } } }]";

    fn told() -> Value {
        let ready = [("orders".to_owned(), ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()].into())].into();
        Routing::new(&Cluster::parse(CLUSTER).unwrap(), &["orders"]).to(&ready)["http"].take()
    }

    #[test]
    fn a_prefix_ends_where_a_part_does_and_the_longest_decides() {
        let routers = &told()["routers"];
        let orders = "Host(`docket.localhost`) && (Path(`/api/orders`) || PathPrefix(`/api/orders/`))";
        assert_eq!((&routers["docket-1"]["rule"], &routers["docket-1"]["service"]), (&json!(orders), &json!("orders")));
        assert_eq!(routers["docket-0"]["rule"], "Host(`docket.localhost`) && PathPrefix(`/`)");
        assert!(routers["docket-1"]["priority"].as_u64() > routers["docket-0"]["priority"].as_u64());
        assert_eq!(routers["docket-1"]["entryPoints"], json!([OUTSIDE]));
    }

    #[test]
    fn an_exact_path_and_any_host_are_known_too() {
        assert_eq!(told()["routers"]["docket-2"]["rule"], "Path(`/only`)");
    }

    #[test]
    fn requests_go_to_those_who_are_ready() {
        let servers = &told()["services"]["orders"]["loadBalancer"]["servers"];
        assert_eq!(*servers, json!([{ "url": "http://127.0.0.1:1" }, { "url": "http://127.0.0.1:2" }]));
    }

    #[test]
    fn a_service_has_an_address_within_the_cluster() {
        let told = told();
        assert_eq!(told["routers"]["inside-orders"]["rule"], "PathPrefix(`/orders/`)");
        assert_eq!(told["middlewares"]["inside-orders"]["stripPrefix"]["prefixes"], json!(["/orders"]));
    }

    #[test]
    #[should_panic(expected = "ImplementationSpecific")]
    fn what_depends_on_the_controller_is_not_guessed() {
        matching("ImplementationSpecific", "/api");
    }
}
