//! The audit log.

use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::ids::{KeyId, TenantId};
use stepmill_core::principal::Sees;
use stepmill_store::{AuditFilter, AuditRow, Store};
use uuid::Uuid;

use crate::house::{House, at, digest, plugin, session, tenant, user, workflow};

fn note(action: Action, target: &str) -> AuditNote {
    let actor = Actor { user: Some(user("ada")), key: Some(KeyId::from_uuid(Uuid::max())) };
    AuditNote { at: at(7), actor, action, target: target.to_owned(), detail: Some("d".to_owned()) }
}

async fn lines(store: &Store, of: Option<&str>) -> Vec<AuditRow> {
    let of = of.map(|it| TenantId::new(it).unwrap());
    let filter = AuditFilter { limit: 100, ..AuditFilter::default() };
    store.audit_list(of.as_ref(), filter).await.unwrap()
}

pub(crate) async fn a_change_and_its_line_are_written_together(house: House) {
    let store = house.open().await;
    let (acme, shared) = (tenant(&store, "acme"), store.shared());
    let (upload, delete) = (Action::PluginUpload, Action::PluginDelete);
    acme.plugin_put(&plugin("p", digest(1)), b"one", &note(upload, "p")).await.unwrap();
    shared.plugin_put(&plugin("q", digest(2)), b"two", &note(upload, "q")).await.unwrap();
    assert!(acme.plugin_delete(&workflow("p"), &note(delete, "p")).await.unwrap());
    // What changes nothing leaves no line.
    assert!(!acme.plugin_delete(&workflow("p"), &note(delete, "p")).await.unwrap());
    assert!(!acme.plugin_delete(&workflow("q"), &note(delete, "q")).await.unwrap());
    let (session, line) = (session("s"), note(Action::SessionDelete, "s"));
    assert!(!acme.session_delete(Sees::Everyone, &session, &line).await.unwrap());

    let own = lines(&store, Some("acme")).await;
    let notes: Vec<_> = own.iter().map(|it| it.note.clone()).collect();
    assert_eq!(notes, [note(delete, "p"), note(upload, "p")]);
    assert!(own[1].sequence < own[0].sequence);
    let hosts: Vec<_> = lines(&store, None).await.into_iter().map(|it| it.note).collect();
    assert_eq!(hosts, [note(upload, "q")]);
    assert!(lines(&store, Some("other")).await.is_empty());
}

pub(crate) async fn the_log_is_read_from_its_end_and_loses_what_is_old(house: House) {
    let store = house.open().await;
    let acme = TenantId::new("acme").unwrap();
    let mut unknown = note(Action::AccessDenied, "GET /workflows");
    (unknown.actor, unknown.detail, unknown.at) = (Actor::default(), None, at(9));
    let notes = [
        (Some(acme.clone()), note(Action::PluginUpload, "1"), 1),
        (Some(acme.clone()), note(Action::AccessDenied, "2"), 40),
        (Some(acme.clone()), note(Action::PluginUpload, "3"), 1),
        (None, unknown.clone(), 3),
    ];
    store.audit_add(&notes).await.unwrap();
    store.audit_add(&[]).await.unwrap();

    let ask = async |before, action, limit| {
        let filter = AuditFilter { before, action, limit };
        store.audit_list(Some(&acme), filter).await.unwrap()
    };
    let targets = |rows: &[AuditRow]| -> Vec<String> {
        rows.iter().map(|it| it.note.target.clone()).collect()
    };
    let first = ask(None, None, 2).await;
    assert_eq!(targets(&first), ["3", "2"]);
    assert_eq!(first[1].times, 40);
    assert_eq!(targets(&ask(Some(first[1].sequence), None, 2).await), ["1"]);
    assert_eq!(targets(&ask(None, Some(Action::PluginUpload), 9).await), ["3", "1"]);

    assert_eq!(store.audit_sweep(at(9)).await.unwrap(), 3);
    assert!(lines(&store, Some("acme")).await.is_empty());
    let left = lines(&store, None).await;
    assert_eq!((left[0].note.clone(), left[0].times, left.len()), (unknown, 3, 1));
}
