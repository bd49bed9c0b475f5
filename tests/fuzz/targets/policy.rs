//! Policies as operators write them, and what plugins ask for under them.
//!
//! The input is a policy (TOML as in the settings file, or JSON as over the API), a line `---`, and
//! lines with what is asked for; after another `---`, lines with what else is allowed. What is
//! read is written as it is read, and nothing is granted that was not both asked for and allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepmill::settings::{PolicyForm, fuzzing};
use stepmill_core::agent::ModelName;
use stepmill_core::capability::{Access, Capability, Grants};
use stepmill_core::ids::{DatabaseName, SecretName, TenantId, WorkflowId};
use stepmill_core::policy::{Policies, Policy, PolicyScope};

/// As the host has it.
const ALLOW: usize = 256;

/// As many words say all there is to say, and the probes grow with their square.
const WORDS: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(3, "\n---\n");
    let policy = parts.next().unwrap_or_default();
    let asked = words(parts.next().unwrap_or_default());
    let allowed = words(parts.next().unwrap_or_default());
    granted(&asked, &allowed);
    if policy.starts_with('{') {
        over_api(policy);
    } else if let Ok(policies) = fuzzing::policies(policy) {
        in_file(&policies, &asked);
    }
});

fn words(lines: &str) -> Vec<Capability> {
    let words = lines.lines().filter_map(|line| {
        let word = Capability::parse(line).ok()?;
        assert_eq!(Capability::parse(&word.to_string()).as_ref(), Ok(&word), "read as shown");
        Some(word)
    });
    words.take(WORDS).collect()
}

fn over_api(text: &str) {
    let Ok(form) = serde_json::from_str::<PolicyForm>(text) else { return };
    let plugin = WorkflowId::new("p").expect("it is one");
    for scope in [PolicyScope::Host, PolicyScope::Plugin(None, plugin)] {
        if let Ok(policy) = form.policy(&scope) {
            reads_as_written(&scope, &policy);
        }
    }
}

fn in_file(policies: &Policies, asked: &[Capability]) {
    let acme = TenantId::new("acme").expect("it is one");
    for (scope, policy) in policies.iter() {
        reads_as_written(scope, policy);
        let (tenant, plugin) = match scope {
            PolicyScope::Plugin(tenant, plugin) => (tenant.clone(), plugin.clone()),
            PolicyScope::Tenant(it) => (Some(it.clone()), WorkflowId::new("p").expect("it is one")),
            PolicyScope::Host => (None, WorkflowId::new("p").expect("it is one")),
        };
        let allowed = policies.allowed(tenant.as_ref(), &plugin);
        // The narrowest scope that says so decides.
        if let Some(own) = &policy.allow
            && !matches!(scope, PolicyScope::Host)
            && policies
                .of(&PolicyScope::Plugin(tenant.clone(), plugin.clone()))
                .is_none_or(|it| it.allow.is_none() || matches!(scope, PolicyScope::Plugin(..)))
        {
            assert_eq!(allowed, own);
        }
        granted(asked, &allowed[..allowed.len().min(WORDS)]);
        let tenant = tenant.as_ref().unwrap_or(&acme);
        let limits = policies.plugin_limits(None, tenant, &plugin);
        assert!(limits.plugins.is_some() && limits.kv_bytes.is_some(), "a safe limit is lost");
        assert_eq!(policies.bounds(tenant, None, &plugin).len(), 3);
    }
}

fn reads_as_written(scope: &PolicyScope, policy: &Policy) {
    assert!(policy.allow.as_ref().map_or(0, Vec::len) <= ALLOW);
    assert!(policy.config.is_empty() || matches!(scope, PolicyScope::Plugin(..)));
    let form = PolicyForm::of(policy);
    assert_eq!(form.policy(scope).as_ref(), Ok(policy), "not as it was written");
    let text = serde_json::to_string(&form).expect("a form is JSON");
    assert_eq!(serde_json::from_str::<PolicyForm>(&text).expect("its own form"), form);
}

fn granted(asked: &[Capability], allowed: &[Capability]) {
    let grants = Grants::of(asked, allowed);
    let is_whole = Grants::missing(asked, allowed).is_empty();
    for plain in
        [Capability::Clock, Capability::Randomness, Capability::Config, Capability::KeyValue]
    {
        let both = asked.contains(&plain) && allowed.contains(&plain);
        assert_eq!(grants.has(&plain), both);
    }
    let by = |words: &[Capability], covers: &dyn Fn(&Capability) -> bool| words.iter().any(covers);
    let check = |granted: bool, is_of_models: bool, covers: &dyn Fn(&Capability) -> bool| {
        assert!(
            !granted || (by(asked, covers) && by(allowed, covers)),
            "more than asked or allowed"
        );
        // Of models, a part may be granted.
        assert!(granted || is_of_models || !is_whole || !by(asked, covers), "less than granted");
    };
    for word in asked.iter().chain(allowed) {
        match word {
            Capability::Http(rule) => requests(&rule.to_string(), |method, host, path| {
                let covers = |it: &Capability| matches!(it, Capability::Http(it) if it.covers(method, host, path));
                check(grants.http(method, host, path), false, &covers);
            }),
            Capability::Model(pattern) => models(pattern.as_str(), |model| {
                let covers =
                    |it: &Capability| matches!(it, Capability::Model(it) if it.covers(model));
                check(grants.model(model), true, &covers);
            }),
            Capability::Database(rule) => {
                let rule = rule.to_string();
                let name = rule.split(':').next().unwrap_or_default();
                let name = DatabaseName::new(name).expect("a rule has a name");
                for access in [Access::Read, Access::Write] {
                    let covers = |it: &Capability| matches!(it, Capability::Database(it) if it.covers(&name, access));
                    check(grants.database(&name, access), false, &covers);
                }
            }
            Capability::Secret(name) => {
                let name = SecretName::new(name.as_str()).expect("it is one");
                let covers = |it: &Capability| matches!(it, Capability::Secret(it) if *it == name);
                check(grants.secret(&name), false, &covers);
            }
            _ => {}
        }
    }
}

/// Requests that a rule may be about.
fn requests(rule: &str, mut try_with: impl FnMut(&str, &str, &str)) {
    let (methods, place) = rule.split_once(' ').unwrap_or(("GET", rule));
    let (host, path) = place.find('/').map_or((place, "/"), |at| place.split_at(at));
    for method in methods.split(',').chain(["POST"]).take(4) {
        for host in [host.replace('*', "a"), host.replace("*.", ""), host.replace('*', "a.b")] {
            for part in ["", "x", "x/y", "../x", "*"] {
                try_with(method, &host, &path.replace('*', part));
            }
        }
    }
}

/// Models that a pattern may be about.
fn models(pattern: &str, mut try_with: impl FnMut(&ModelName)) {
    for part in ["", "x", "a/b", "*"] {
        let id = pattern.replace('*', part);
        try_with(&ModelName { id: id.clone(), provider: None });
        if let Some((provider, id)) = id.split_once('/') {
            try_with(&ModelName { id: id.into(), provider: Some(provider.into()) });
        }
        try_with(&ModelName { id, provider: Some("own".into()) });
    }
}
