//! The recorded factories: the guide's five, and those that probe the context and the errors.

use std::thread::sleep;
use std::time::Duration;

use stepmill_sdk::prelude::*;

use crate::{Context, Mirror, echo};

/// The factory of this id.
pub(crate) fn find(id: &str) -> Option<Mirror> {
    Some(match id {
        "content-pipeline" => Mirror::new(content_pipeline)
            .name("Content Pipeline")
            .description("Builds a draft-then-edit content workflow per tenant."),
        "article-pipeline" => Mirror::new(article_pipeline),
        "async-pipeline" => Mirror::new(async_pipeline),
        "pipeline" => Mirror::new(pipeline),
        "rich" => {
            Mirror::new(rich).name("Rich").description("Rich schema").function("show", |ctx, _| {
                Ok(StepOutput::new(format!("RichConfig {}", ctx.input.rich())))
            })
        }
        "guarded-pipeline" => Mirror::new(guarded_pipeline),
        "ctx-echo" => Mirror::new(echo::build).name("Ctx Echo").function("echo", echo::echo),
        "sleepy" => Mirror::new(sleepy)
            .function("f", |_, input| Ok(StepOutput::new(format!("sleepy: {}", input.message)))),
        "id-override" => {
            Mirror::new(id_override).function("<lambda>", |_, _| Ok(StepOutput::new("ok")))
        }
        "no-steps" => Mirror::new(|_| Ok(Workflow::new("Empty"))),
        "slow" => Mirror::new(slow).name("Slow"),
        _ => return failing(id),
    })
}

/// The factories that give no workflow.
fn failing(id: &str) -> Option<Mirror> {
    Some(Mirror::new(match id {
        "perm-error" => |_| Err(FactoryError::permission("nope, not you")),
        "valid-error" => |_| Err(FactoryError::validation("words must be even")),
        "factory-error" => |_| Err(FactoryError::other("db password is hunter2")),
        "boom" => |_| Err(FactoryError::other("postgres://ai:secret@db/ai refused")),
        // A plugin cannot return another type or nothing, change its context, or name a status:
        // the nearest it can do is to fail.
        "wrong-type" => |_| Err(FactoryError::other("an agent is no workflow")),
        "returns-none" => |_| Err(FactoryError::other("nothing is no workflow")),
        "frozen" => |_| Err(FactoryError::other("cannot assign to field 'user_id'")),
        "http-exc" => |_| Err(FactoryError::other("418: teapot")),
        // Nor can it put a number where a step belongs: this step's function does not exist.
        "bad-step" => |_| Ok(Workflow::new("BadStep").step(Step::function("42", "42"))),
        _ => return None,
    }))
}

pub(crate) fn agent(name: &str, model: &str, instructions: &str) -> Agent {
    Agent::new(name, Model::new(model).provider("openai")).instructions(instructions)
}

fn content_pipeline(ctx: &Context) -> Result<Workflow, FactoryError> {
    let user = ctx.user_id.as_deref().unwrap_or("anonymous");
    let drafter = format!(
        "You are a content drafter for tenant {user}. Write a first draft based on the topic. \
         Keep it focused and concise."
    );
    let editor = format!(
        "You are an editor for tenant {user}. Review the draft for clarity, grammar, and \
         structure. Output the final version."
    );
    Ok(Workflow::new("Content Pipeline")
        .description("Draft then edit content")
        .step(
            Step::agent("draft", agent("Drafter", "gpt-5.4", &drafter))
                .description("Write the first draft"),
        )
        .step(
            Step::agent("edit", agent("Editor", "gpt-5.4", &editor))
                .description("Edit and finalize"),
        ))
}

fn research(model: &str) -> Step {
    Step::agent("research", agent("Researcher", model, "Research the topic."))
}

fn draft(model: &str) -> Step {
    Step::agent("draft", agent("Drafter", model, "Draft the article."))
}

fn edit(model: &str) -> Step {
    Step::agent("edit", agent("Editor", model, "Edit the article."))
}

fn article_pipeline(ctx: &Context) -> Result<Workflow, FactoryError> {
    let tier = ctx.trusted.claims.get("tier");
    // Python looks a tier up; what holds other values cannot be looked up.
    if tier.is_some_and(|it| it.is_array() || it.is_object()) {
        return Err(FactoryError::other("the tier is no key"));
    }
    let tier = tier.and_then(|it| it.as_str()).unwrap_or("free");
    let model = match tier {
        "pro" => "gpt-5.4",
        "enterprise" => "gpt-5.4-pro",
        _ => "gpt-4.1-mini",
    };
    Ok(Workflow::new("Article Pipeline")
        .steps((tier == "enterprise").then(|| research(model)))
        .step(draft(model))
        .step(edit(model)))
}

fn async_pipeline(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Pipeline")
        .step(Step::agent("outline", agent("outline", "gpt-5.4", "Outline it.")))
        .step(Step::agent("write", agent("write", "gpt-5.4", "Write it."))))
}

fn pipeline(ctx: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Pipeline")
        .steps(ctx.input.include_research().then(|| research("gpt-5.4")))
        .step(draft("gpt-5.4"))
        .step(edit("gpt-5.4")))
}

fn rich(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Rich").step(Step::function("show", "show")))
}

fn guarded_pipeline(ctx: &Context) -> Result<Workflow, FactoryError> {
    if !ctx.trusted.scopes.contains("workflows:run") {
        return Err(FactoryError::permission("Missing 'workflows:run' scope"));
    }
    Ok(Workflow::new("Guarded").step(draft("gpt-5.4")))
}

fn sleepy(_: &Context) -> Result<Workflow, FactoryError> {
    sleep(Duration::from_secs(1));
    Ok(Workflow::new("sleepy").step(Step::function("only", "f")))
}

fn id_override(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Other").step(Step::function("only", "<lambda>")))
}

fn slow(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Slow")
        .step(Step::agent("one", agent("One", "gpt-5.4-delay1500", "One.")))
        .step(Step::agent("two", agent("Two", "gpt-5.4-delay1500", "Two."))))
}
