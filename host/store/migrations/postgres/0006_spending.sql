-- What models were asked for, day by day.
-- The SQLite folder beside this one says the same: change both or neither.

create table spending (
    tenant_id text collate "C" not null,
    day text collate "C" not null,
    owner_id text collate "C" not null,
    workflow_id text collate "C" not null,
    model text collate "C" not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost bigint not null,
    calls bigint not null,
    estimated_calls bigint not null,
    constraint spending_key primary key (tenant_id, day, owner_id, workflow_id, model),
    constraint spending_tenant check (tenant_id <> '')
-- Rows of the day change with every call; room beside them keeps that out of the indexes.
) with (fillfactor = 50);
comment on table spending is 'What models were asked for, day by day.';
comment on column spending.day is 'Of UTC, as 2026-11-25: the day on which the calls began.';
comment on column spending.owner_id is 'Whose the workflow is. Empty: the operator''s, shared or declared.';
comment on column spending.model is 'As the graph names it, with the provider if it names one.';
comment on column spending.cost is 'In millionths of the price table''s currency.';
comment on column spending.estimated_calls is 'Calls of which the provider did not tell everything: the most they can have used is counted.';

-- For the host's start, which reads the last days of all tenants.
create index spending_by_day on spending (day);
