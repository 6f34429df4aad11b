//! Users, weights that change, and stores that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use expect_test::expect;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::{BucketError, BucketStore, Buckets, Found, Keeper};
use crate::route::{Event, Experiment, Observe, RouteTable, Unobserved};

#[derive(Debug, Default)]
struct Told(Mutex<BTreeMap<String, u32>>);

impl Observe for Told {
    fn note(&self, event: &Event<'_>) {
        let mut told = self.0.lock().expect("no test panicked");
        *told.entry(format!("{event:?}")).or_default() += 1;
    }
}

fn table(variants: &[(&str, u32)]) -> RouteTable {
    let variants: Vec<_> = variants
        .iter()
        .map(|(name, weight)| serde_json::json!({ "name": name, "cluster": "svc", "weight": weight }))
        .collect();
    let table = serde_json::json!({
        "experiments": [{ "name": "e", "variants": variants }],
        "default": { "experiment": "e" }
    });
    RouteTable::from_value(&table, &BTreeSet::from([Arc::from("svc")])).expect("the table is valid")
}

fn experiment(table: &RouteTable) -> &Experiment {
    &table.experiments[0]
}

/// The variants of the first so many users, by name.
fn variants(buckets: &Buckets, table: &RouteTable, users: u32) -> Vec<String> {
    let experiment = experiment(table);
    let one = |user: u32| {
        let digest = experiment.hash.digest(user.to_string().as_bytes());
        match buckets.find(experiment, digest) {
            Found::Variant(variant) => experiment.variants[variant].name.to_string(),
            Found::Elsewhere => panic!("nothing is elsewhere"),
        }
    };
    (0..users).map(one).collect()
}

fn open(store: &BucketStore) -> Buckets {
    Buckets::open(store, Arc::new(Unobserved)).expect("a store")
}

fn embedded(folder: &Path) -> BucketStore {
    BucketStore::Embedded(folder.to_owned())
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

const HALVES: &[(&str, u32)] = &[("a", 1), ("b", 1)];
const ALL_B: &[(&str, u32)] = &[("a", 0), ("b", 1)];

proptest! {
    #[test]
    fn a_user_stays_in_its_variant_whatever_the_weights_become(
        weights in prop::collection::vec((0_u32..5, 0_u32..5, 1_u32..5), 2..6),
    ) {
        let buckets = open(&BucketStore::Memory);
        let mut first: Option<Vec<String>> = None;
        for (a, b, c) in weights {
            let table = table(&[("a", a), ("b", b), ("c", c)]);
            let now = variants(&buckets, &table, 50);
            prop_assert_eq!(first.get_or_insert_with(|| now.clone()), &now);
        }
    }
}

#[test]
fn new_users_follow_the_weights_in_force() {
    let buckets = open(&BucketStore::Memory);
    variants(&buckets, &table(HALVES), 100);
    let all = variants(&buckets, &table(ALL_B), 200);
    assert!(all[..100].contains(&"a".to_owned()));
    assert!(all[100..].iter().all(|variant| variant == "b"));
}

#[test]
fn users_of_a_variant_that_is_gone_move_once_and_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let buckets = open(&embedded(folder.path()));
    let before = variants(&buckets, &table(HALVES), 100);
    let without = table(&[("b", 1), ("c", 1)]);
    let moved = variants(&buckets, &without, 100);
    for (before, moved) in before.iter().zip(&moved) {
        assert!(moved == if before == "a" { moved } else { "b" } && moved != "a");
    }
    // They are drawn for, and don't all go to the neighbour.
    for variant in ["b", "c"] {
        let of_a = |(before, moved): &(&String, &String)| *before == "a" && *moved == variant;
        assert!(before.iter().zip(&moved).any(|pair| of_a(&pair)), "{variant}");
    }
    // It comes back, but nobody moves back.
    let with = table(&[("a", 100), ("b", 1), ("c", 1)]);
    assert_eq!(variants(&buckets, &with, 100), moved);
    drop(buckets);
    assert_eq!(variants(&open(&embedded(folder.path())), &with, 100), moved);
}

#[test]
fn a_restart_forgets_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let buckets = open(&embedded(folder.path()));
    let before = variants(&buckets, &table(HALVES), 1_000);
    drop(buckets);
    let again = open(&embedded(folder.path()));
    assert_eq!(variants(&again, &table(ALL_B), 1_000), before);
}

/// What a machine finds that lost its power at this moment, but for the journals: those are not synced.
fn synced(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::copy(folder.join("buckets.redb"), copy.path().join("buckets.redb")).expect("there is room");
    copy
}

#[test]
fn changed_weights_wait_until_what_was_given_is_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let buckets = open(&embedded(folder.path()));
    let before = variants(&buckets, &table(HALVES), 1_000);
    runtime()
        .block_on(buckets.settle(&table(HALVES), &table(ALL_B)))
        .expect("there is room");
    let copy = synced(folder.path());
    assert_eq!(
        variants(&open(&embedded(copy.path())), &table(ALL_B), 1_000),
        before
    );
}

#[test]
fn a_folder_has_one_router() {
    let folder = tempfile::tempdir().expect("a folder");
    let _buckets = open(&embedded(folder.path()));
    let second = Buckets::open(&embedded(folder.path()), Arc::new(Unobserved));
    assert!(matches!(second, Err(BucketError::Folder { doing: "open", .. })));
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("buckets.redb");
    std::fs::write(&path, [0x5a; 5_000]).expect("there is room");
    let opened = Buckets::open(&embedded(folder.path()), Arc::new(Unobserved));
    assert!(matches!(opened, Err(BucketError::Folder { .. })));
    assert_eq!(std::fs::read(&path).expect("it is there"), [0x5a; 5_000]);
}

#[test]
fn beyond_the_room_the_hash_decides_and_says_so() {
    let told = Arc::new(Told::default());
    let buckets =
        Buckets::with_room(10, &BucketStore::Memory, Arc::clone(&told) as Arc<dyn Observe>).expect("a store");
    let before = variants(&buckets, &table(HALVES), 30);
    let after = variants(&buckets, &table(ALL_B), 30);
    assert_eq!(before[..10], after[..10]);
    assert!(after[10..].iter().all(|variant| variant == "b"));
    expect![[r#"
        {
            "BucketByHash { why: Full }": 40,
            "BucketsFull { users: 10 }": 1,
        }
    "#]]
    .assert_debug_eq(&*told.0.lock().expect("no test panicked"));
}

#[test]
fn what_the_disk_did_not_take_is_not_remembered_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Arc::new(Told::default());
    let buckets =
        Buckets::open(&embedded(folder.path()), Arc::clone(&told) as Arc<dyn Observe>).expect("a store");
    let Keeper::Embedded(disk) = &buckets.keeper else {
        panic!("that is what was opened");
    };
    let before = variants(&buckets, &table(HALVES), 10);
    disk.fill_disk(true);
    let during = variants(&buckets, &table(ALL_B), 20);
    assert_eq!(during[..10], before);
    disk.fill_disk(false);
    // The ten that could not be kept are given anew, by the weights that are in force then.
    let after = variants(&buckets, &table(&[("a", 1), ("b", 0)]), 20);
    assert_eq!(after[..10], before);
    assert!(after[10..].iter().all(|variant| variant == "a"));
    expect![[r#"
        {
            "BucketByHash { why: Unwritten }": 10,
        }
    "#]]
    .assert_debug_eq(&*told.0.lock().expect("no test panicked"));
    drop(buckets);
    assert_eq!(
        variants(&open(&embedded(folder.path())), &table(ALL_B), 20),
        after
    );
}

#[test]
fn threads_that_meet_over_a_new_user_agree() {
    let buckets = open(&BucketStore::Memory);
    // Each thread has other weights, as in the moment in which a table is swapped.
    let tables = [table(HALVES), table(ALL_B), table(&[("a", 1), ("b", 0)])];
    let found: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = tables
            .iter()
            .map(|table| scope.spawn(|| variants(&buckets, table, 2_000)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it ended"))
            .collect()
    });
    assert!(found.iter().all(|variants| *variants == found[0]));
}
