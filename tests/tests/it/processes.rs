//! Every service as a process of its own, behind a router by path: the same journey.

use actix_web::{App as Actix, HttpRequest, HttpResponse, HttpServer, web};
use docket_tests::{App, Person, Process, spawn};
use futures::future::join_all;

use super::sale::variables;

/// Which paths go to which service: what the ingress does.
const ROUTES: [(&str, &str); 8] = [
    ("/api/users", "auth"),
    ("/.well-known", "auth"),
    ("/api/tickets", "tickets"),
    ("/api/orders", "orders"),
    ("/api/passes", "orders"),
    ("/api/payments", "payments"),
    ("/api/dead-letters/orders", "orders"),
    ("/api/dead-letters/payments", "payments"),
];

const SERVICES: [&str; 5] = ["auth", "tickets", "orders", "expiration", "payments"];

#[derive(Clone)]
struct Router {
    client: reqwest::Client,
    targets: Vec<(&'static str, String)>,
}

async fn forward(router: web::Data<Router>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some((_, target)) = router.targets.iter().find(|(prefix, _)| request.path().starts_with(prefix)) else {
        return HttpResponse::NotFound().finish();
    };
    let mut forwarded =
        router.client.request(request.method().as_str().parse().unwrap(), format!("{target}{}", request.uri()));
    for (name, value) in
        request.headers().iter().filter(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.as_str()))
    {
        forwarded = forwarded.header(name.as_str(), value.as_bytes());
    }
    let Ok(answer) = forwarded.body(body).send().await else { return HttpResponse::BadGateway().finish() };
    let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(answer.status().as_u16()).unwrap());
    for (name, value) in
        answer.headers().iter().filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding")
    {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body(answer.bytes().await.unwrap_or_default())
}

fn route(processes: &[(&'static str, Process)]) -> (actix_web::dev::Server, String) {
    let address = |service: &str| processes.iter().find(|(name, _)| *name == service).unwrap().1.http.clone();
    let targets = ROUTES.iter().map(|(prefix, service)| (*prefix, address(service))).collect();
    let router = Router { client: reqwest::Client::builder().no_proxy().build().unwrap(), targets };
    let server = HttpServer::new(move || {
        Actix::new().app_data(web::Data::new(router.clone())).default_service(web::to(forward))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    (server.run(), base)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_behind_a_router_do_the_same_as_one() {
    let app = App::start().await;
    let mut variables = variables(&app);
    app.stop_serving().await;
    let auth = spawn("auth", &variables).await;
    variables.push(("DOCKET_JWKS_URL", format!("{}/.well-known/jwks.json", auth.http)));
    let others = join_all(SERVICES[1..].iter().map(|name| async { (*name, spawn(name, &variables).await) })).await;
    let mut processes = vec![("auth", auth)];
    processes.extend(others);

    let (server, base) = route(&processes);
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let (seller, buyer) =
        (Person::sign_up(&base, "seller@example.com").await, Person::sign_up(&base, "buyer@example.com").await);
    super::journey::walk(&seller, &buyer).await;
    handle.stop(true).await;
    serving.await.unwrap().unwrap();
    for (name, process) in processes {
        assert!(process.terminate().await, "{name} stops in good order when asked");
    }
    app.stop().await;
}
