//! Indexes that are declared otherwise than they once were.

use std::time::Duration;

use common::store::Indexes;
use futures::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};

use crate::database::TestDatabase;

async fn there(database: &TestDatabase) -> Vec<IndexModel> {
    let found = database.1.collection::<Document>("pages").list_indexes().await.unwrap();
    found.try_collect().await.unwrap()
}

fn named<'m>(models: &'m [IndexModel], name: &str) -> Option<&'m IndexModel> {
    models.iter().find(|model| model.options.as_ref().unwrap().name.as_deref() == Some(name))
}

#[actix_web::test]
async fn an_index_whose_options_changed_takes_the_place_of_the_earlier_one() {
    let database = TestDatabase::new().await;
    let open = |until: i32| doc! { "open": { "$lt": until } };
    let earlier = || {
        Indexes::of("pages").ttl("at", Duration::from_secs(60)).partial(doc! { "a.b": -1 }, open(1)).on(doc! { "c": 1 })
    };
    let later = || {
        let changed = Indexes::of("pages").ttl("at", Duration::from_secs(90)).revised(2);
        changed.partial(doc! { "a.b": -1 }, open(2)).revised(2).on(doc! { "c": 1 })
    };
    earlier().ensure(&database.0).await.unwrap();
    earlier().ensure(&database.0).await.unwrap();
    assert_eq!(there(&database).await.len(), 4, "one of them is over the ids");

    // The builds start in turns, as their replicas do in a roll-out: the later one's indexes stay.
    for _ in 0..2 {
        later().ensure(&database.0).await.unwrap();
        earlier().ensure(&database.0).await.unwrap();
    }
    let models = there(&database).await;
    assert_eq!(models.len(), 4, "{models:?}");
    let kept = named(&models, "at_1_r2").unwrap().options.as_ref().unwrap().expire_after;
    assert_eq!(kept, Some(Duration::from_secs(90)));
    let filter = named(&models, "a.b_-1_r2").unwrap().options.as_ref().unwrap().partial_filter_expression.clone();
    assert_eq!(filter, Some(open(2)));
    assert!(named(&models, "c_1").is_some());
    database.leave().await;
}

/// Builds from before revisions do not start where an index of theirs has other options.
#[actix_web::test]
async fn an_index_that_deletes_stands_beside_one_of_a_build_that_knows_no_revisions() {
    let database = TestDatabase::new().await;
    let pages = database.1.collection::<Document>("pages");
    let before = IndexModel::builder().keys(doc! { "at": 1 }).build();
    for _ in 0..2 {
        pages.create_index(before.clone()).await.unwrap();
        Indexes::of("pages")
            .on(doc! { "at": 1 })
            .ttl_beside("at", Duration::from_secs(90))
            .ensure(&database.0)
            .await
            .unwrap();
    }
    let models = there(&database).await;
    assert_eq!(named(&models, "at_1").unwrap().options.as_ref().unwrap().expire_after, None);
    let deletes = named(&models, "at_1_ttl").unwrap().options.as_ref().unwrap().expire_after;
    assert_eq!(deletes, Some(Duration::from_secs(90)));
    database.leave().await;
}

#[actix_web::test]
async fn other_options_without_a_revision_are_refused_and_nothing_is_dropped() {
    let database = TestDatabase::new().await;
    Indexes::of("pages").ttl("at", Duration::from_secs(60)).ensure(&database.0).await.unwrap();
    let refused = Indexes::of("pages").ttl("at", Duration::from_secs(90)).ensure(&database.0).await;
    assert!(!refused.unwrap_err().passes());
    let models = there(&database).await;
    assert_eq!(named(&models, "at_1").unwrap().options.as_ref().unwrap().expire_after, Some(Duration::from_secs(60)));
    database.leave().await;
}
