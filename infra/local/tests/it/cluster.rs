//! A cluster of NATS servers, started for real.

use std::time::Duration;

use async_nats::jetstream::{self, stream::Config};
use docket_local::{NatsCluster, Server};
use tokio::time::timeout;

use crate::options;

const NODES: usize = 3;
const MESSAGES: u64 = 50;
const ELECTION: Duration = Duration::from_secs(30);

async fn jetstream(cluster: &NatsCluster) -> jetstream::Context {
    let urls: Vec<async_nats::ServerAddr> = cluster.url().split(',').map(|url| url.parse().unwrap()).collect();
    jetstream::new(async_nats::connect(urls).await.unwrap())
}

/// Publishes each number until it is acknowledged: while a leader is elected nobody answers.
async fn publish(context: &jetstream::Context, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let acknowledged = async {
            loop {
                let mut headers = async_nats::HeaderMap::new();
                headers.insert(async_nats::header::NATS_MESSAGE_ID, number.to_string());
                let sent = context.publish_with_headers("numbers", headers, number.to_string().into()).await;
                if let Ok(ack) = sent
                    && ack.await.is_ok()
                {
                    return;
                }
            }
        };
        timeout(ELECTION, acknowledged).await.unwrap_or_else(|_| panic!("{number} is not acknowledged"));
    }
}

async fn leader_of(stream: &jetstream::stream::Stream) -> String {
    let asked = async {
        loop {
            let leader = stream.get_info().await.ok().and_then(|info| info.cluster?.leader);
            if let Some(leader) = leader {
                return leader;
            }
        }
    };
    timeout(ELECTION, asked).await.expect("a leader is elected")
}

fn node<'c>(cluster: &'c NatsCluster, name: &str) -> &'c Server {
    let nth: usize = name.rsplit_once('-').unwrap().1.parse().unwrap();
    &cluster.nodes()[nth - 1]
}

#[tokio::test]
async fn a_stream_survives_its_leader_and_the_leader_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = NatsCluster::start(options(folder.path()), NODES).await.unwrap();
    let context = jetstream(&cluster).await;
    let config =
        Config { name: "numbers".into(), subjects: vec!["numbers".into()], num_replicas: NODES, ..Config::default() };
    let mut stream = context.create_stream(config).await.unwrap();
    publish(&context, 0..MESSAGES).await;

    let first = leader_of(&stream).await;
    node(&cluster, &first).kill().await.unwrap();
    publish(&context, MESSAGES..2 * MESSAGES).await;
    let second = leader_of(&stream).await;
    assert_ne!(second, first);
    assert_eq!(stream.info().await.unwrap().state.messages, 2 * MESSAGES);

    node(&cluster, &first).start().await.unwrap();
    node(&cluster, &second).kill().await.unwrap();
    publish(&context, 2 * MESSAGES..3 * MESSAGES).await;
    assert_ne!(leader_of(&stream).await, second);
    assert_eq!(stream.info().await.unwrap().state.messages, 3 * MESSAGES, "an acknowledged message is lost or doubled");
    cluster.stop().await;
}

#[tokio::test]
async fn one_node_frozen_is_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = NatsCluster::start(options(folder.path()), NODES).await.unwrap();
    let context = jetstream(&cluster).await;
    let config =
        Config { name: "numbers".into(), subjects: vec!["numbers".into()], num_replicas: NODES, ..Config::default() };
    let stream = context.create_stream(config).await.unwrap();
    let leader = leader_of(&stream).await;
    let follower = cluster.nodes().iter().find(|other| other.port() != node(&cluster, &leader).port()).unwrap();
    follower.pause().await.unwrap();
    // The client may be connected to the frozen one; another client is not.
    let others = cluster.nodes().iter().filter(|other| other.port() != follower.port());
    let urls: Vec<async_nats::ServerAddr> = others.map(|node| node.url().parse().unwrap()).collect();
    let context = jetstream::new(async_nats::connect(urls).await.unwrap());
    publish(&context, 0..MESSAGES).await;
    follower.resume().await.unwrap();
    cluster.stop().await;
}
