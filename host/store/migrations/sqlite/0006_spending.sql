-- What models were asked for, day by day.
-- The PostgreSQL folder beside this one says the same: change both or neither.

create table spending (
    tenant_id text not null,
    -- Of UTC, as 2026-11-25: the day on which the calls began.
    day text not null,
    -- Whose the workflow is. Empty: the operator's, shared or declared.
    owner_id text not null,
    workflow_id text not null,
    -- As the graph names it, with the provider if it names one.
    model text not null,
    input_tokens integer not null,
    output_tokens integer not null,
    -- In millionths of the price table's currency.
    cost integer not null,
    calls integer not null,
    -- Calls of which the provider did not tell everything: the most they can have used is counted.
    estimated_calls integer not null,
    constraint spending_key primary key (tenant_id, day, owner_id, workflow_id, model),
    constraint spending_tenant check (tenant_id <> '')
) strict, without rowid;

-- For the host's start, which reads the last days of all tenants.
create index spending_by_day on spending (day);
