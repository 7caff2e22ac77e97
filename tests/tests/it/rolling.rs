//! A rolling restart under load: replicas are replaced one by one behind a load balancer, and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use docket_tests::{App, Person, Process, ops_of, pause, spawn};
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::RwLock;

use super::sale::variables;

/// What a load balancer knows of a replica.
#[derive(Clone, Debug, PartialEq)]
struct Replica {
    http: String,
    ops: String,
}

impl From<&Process> for Replica {
    fn from(process: &Process) -> Self {
        Self { http: process.http.clone(), ops: process.ops.clone() }
    }
}

/// Sends requests in turn to the replicas whose `/readyz` said yes when it was last asked.
#[derive(Default)]
struct Balancer {
    replicas: RwLock<Vec<Replica>>,
    ready: RwLock<Vec<Replica>>,
    turn: AtomicUsize,
    done: AtomicBool,
}

impl Balancer {
    async fn watch(&self) {
        while !self.done.load(Ordering::Relaxed) {
            let replicas = self.replicas.read().await.clone();
            let answers = join_all(replicas.iter().map(|replica| ops_of(&replica.ops, "/readyz"))).await;
            let ready = replicas
                .into_iter()
                .zip(answers)
                .filter(|(_, answer)| answer.as_ref().is_some_and(|(status, _)| *status == 200));
            *self.ready.write().await = ready.map(|(replica, _)| replica).collect();
            pause(Duration::from_millis(50)).await;
        }
    }

    async fn next(&self) -> Option<String> {
        let ready = self.ready.read().await;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Some(ready.get(turn % ready.len().max(1))?.http.clone())
    }

    async fn add(&self, process: &Process) {
        let new = Replica::from(process);
        self.replicas.write().await.push(new.clone());
        docket_tests::eventually("the balancer knows the new replica", 10, || async {
            self.ready.read().await.contains(&new).then_some(())
        })
        .await;
    }
}

/// Looks and buys until told to stop; answers how many requests were answered.
async fn visitor(balancer: &Balancer, buyer: Person, ticket: &Value) -> usize {
    let mut answered = 0;
    let path = format!("/api/tickets/{}", ticket["id"].as_str().unwrap());
    while !balancer.done.load(Ordering::Relaxed) {
        let looks = buyer.at(&balancer.next().await.unwrap());
        looks.get(&path).await.expect(200);
        let buys = buyer.at(&balancer.next().await.unwrap());
        let order = buys.hold(ticket, 1).await.expect(201);
        let cancels = buyer.at(&balancer.next().await.unwrap());
        cancels.delete(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await.expect(200);
        answered += 3;
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_under_load_and_no_request_fails() {
    let app = App::start().await;
    let mut variables = variables(&app);
    variables.push(("DOCKET_DRAIN_SECONDS", "3".to_owned()));
    // Who holds and gives up again and again would have to wait.
    variables.push(("HOLD_PAUSE_AFTER", "0".to_owned()));
    let seller = app.sign_up().await;
    let ticket = seller.sell(1_000).await;
    seller.until_counts(&ticket, 0, 0).await;
    let buyers = join_all((0..4).map(|_| app.sign_up())).await;
    app.stop_serving().await;

    let balancer = Arc::new(Balancer::default());
    let watching = tokio::spawn({
        let balancer = balancer.clone();
        async move { balancer.watch().await }
    });
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let process = spawn("docket", &variables).await;
        balancer.add(&process).await;
        old.push(process);
    }
    let load = join_all(buyers.into_iter().map(|buyer| visitor(&balancer, buyer, &ticket)));
    let (answered, ()) = tokio::join!(load, async {
        for replaced in old {
            let process = spawn("docket", &variables).await;
            balancer.add(&process).await;
            new.push(process);
            assert!(replaced.terminate().await, "a replica stops in good order");
        }
        balancer.done.store(true, Ordering::Relaxed);
    });
    watching.await.unwrap();
    assert!(answered.iter().sum::<usize>() > 100, "there was load: {answered:?}");
    app.stop().await;
}
