//! Whoever the pages ask: the visitor has an answer within ten seconds.

use std::time::Duration;

use docket_tests::App;
use tokio::net::TcpListener;

use super::relay::pages_at;
use super::tab::Tab;

const A_VISITORS_PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_api_is_told_as_an_outage() {
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pages = pages_at(&format!("http://{}", silent.local_addr().unwrap())).await;
    let ticket = "/tickets/01890000-0000-7000-8000-000000000000";
    let nobody = Tab::new(&pages.base());
    let somebody = Tab::new(&pages.base());
    somebody.keep("__Host-docket_access", "a.b.c");
    somebody.keep("__Host-docket_refresh", "d");
    let hold = format!("{ticket}/hold");
    let live = format!("{ticket}/live");
    // All calls of a page have less time than its answer; a table may be long, so here it is the answer's time that runs out.
    let table = "/sales/01890000-0000-7000-8000-000000000000/orders.csv";
    let visits = async {
        tokio::join!(
            nobody.get("/"),
            somebody.get("/orders"),
            somebody.get("/orders/01890000-0000-7000-8000-000000000000"),
            somebody.post(&hold, "quantity=1&key=k"),
            somebody.post("/sales/new", "title=Jazz&key=k"),
            nobody.get(&live),
            somebody.get(table),
        )
    };
    let shown = tokio::time::timeout(A_VISITORS_PATIENCE, visits).await.expect("within ten seconds");
    for page in [shown.0, shown.1, shown.2, shown.3, shown.4, shown.5, shown.6] {
        assert_eq!(page.status, 503, "{}", page.text);
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.text);
        assert!(!page.header("content-security-policy").is_empty(), "{:?}", page.headers);
        assert!(!page.header("retry-after").is_empty(), "{:?}", page.headers);
    }
    pages.stop().await;
}

/// An ingress that has no API to send to falls back to the pages: that an API is away is not to be taken for an answer of it.
#[tokio::test(flavor = "multi_thread")]
async fn pages_alone_say_of_an_api_that_it_is_away() {
    let app = App::start().await;
    let pages = pages_at(&app.base()).await;
    for path in ["/api/orders/01890000-0000-7000-8000-000000000000", "/api", "/.well-known/jwks.json"] {
        let away = Tab::new(&pages.base()).get(path).await;
        assert_eq!(away.status, 503, "{path}: {}", away.text);
        assert!(!away.header("retry-after").is_empty() && away.text.contains("unavailable"), "{path}: {}", away.text);
    }
    // In one process with the APIs, what they do not know does not exist.
    app.visitor().get("/api/nonsense").await.problem(404, "not_found");
    assert_eq!(Tab::new(&app.base()).get("/api/orders").await.status, 401);
    app.stop().await;
    pages.stop().await;
}
