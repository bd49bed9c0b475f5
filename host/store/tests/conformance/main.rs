//! One suite, two databases: every story is told to SQLite and to PostgreSQL, each time with a
//! database of its own.
#![expect(clippy::unwrap_used, reason = "the stories are tests, told in functions of their own")]

mod audit;
mod house;
mod journal;
mod keys;
mod kv;
mod lists;
mod ownership;
mod plugins;
mod policies;
mod runs;
mod secrets;
mod sessions;
mod spending;
mod states;
mod texts;

/// Each story becomes two tests: `sqlite::<story>` and `postgres::<story>`.
macro_rules! conformance {
    ($($room:ident: $($story:ident)*;)*) => {
        mod sqlite {
            $($(#[test] fn $story() { crate::house::on_sqlite(crate::$room::$story); })*)*
        }
        mod postgres {
            $($(#[test] fn $story() { crate::house::on_postgres(crate::$room::$story); })*)*
        }
    };
}

conformance! {
    runs:
        a_run_reads_back_as_it_was_accepted
        a_run_id_is_used_once_in_all_tenants
        a_refused_run_leaves_nothing_behind
        a_refused_run_does_no_harm_to_those_beside_it
        a_session_belongs_to_whoever_opened_it
        a_session_without_an_owner_is_open_to_all
        a_caller_finds_only_what_it_sees
        the_latest_runs_are_listed_oldest_first
        another_tenants_runs_are_not_there
        the_host_sees_all_unfinished_runs
        a_run_that_ends_as_it_begins_is_finished;
    sessions:
        a_session_reads_back_as_it_was_made
        a_caller_sees_its_own_sessions
        sessions_are_filtered_sorted_and_paged
        a_change_replaces_what_it_names
        a_run_leaves_its_mark_on_its_session
        runs_of_a_session_are_filtered
        a_session_opens_with_a_message_its_reader_may_read
        a_session_is_deleted_while_its_runs_write
        a_deleted_session_takes_its_runs_along;
    states:
        runs_at_the_same_moment_leave_what_each_changed
        clients_at_the_same_moment_leave_what_each_said
        a_state_that_cannot_take_a_change_stays;
    journal:
        entries_are_read_back_in_order
        a_place_in_the_journal_is_taken_once
        an_append_is_all_or_nothing
        of_two_hosts_hands_at_one_place_one_wins
        appends_to_many_runs_at_once_all_arrive
        a_last_entry_sets_the_status
        a_list_tells_each_run_without_pieces
        a_long_append_arrives_whole
        another_tenants_journal_is_not_there
        numbers_that_do_not_fit_are_refused;
    plugins:
        a_plugin_reads_back_with_its_code
        a_replaced_plugin_keeps_its_birthday
        a_deleted_plugin_is_gone_once
        another_tenants_plugins_are_not_there
        shared_plugins_stand_apart
        the_host_lists_the_plugins_of_all_tenants
        code_is_kept_while_somebody_needs_it
        code_of_one_tenant_is_not_pinned_by_another
        shared_code_is_pinned_by_runs_of_any_tenant
        a_run_cannot_pin_code_that_is_not_there
        sweeps_and_runs_do_not_cross;
    audit:
        a_change_and_its_line_are_written_together
        the_log_is_read_from_its_end_and_loses_what_is_old;
    lists:
        a_list_of_runs_holds_so_much_and_no_more
        what_runs_came_to_counts_too
        a_history_is_of_one_workflow_and_one_user
        a_page_of_sessions_holds_so_much_and_no_more
        a_preview_is_cut_where_it_is_read
        a_preview_says_why_its_run_failed;
    keys:
        a_key_reads_back_as_it_was_made
        a_deleted_key_is_gone_once
        another_tenants_keys_are_not_there
        a_tenant_has_so_many_keys_and_no_more
        the_use_of_a_key_is_noted_now_and_then
        a_name_that_one_database_could_not_keep_is_refused_by_both;
    kv:
        a_value_reads_back_until_it_is_deleted
        values_stand_apart_by_tenant_and_plugin
        a_key_that_one_database_could_not_keep_is_refused_by_both;
    policies:
        each_scope_keeps_what_was_said_last;
    spending:
        what_calls_use_is_noted_with_what_they_answer
        a_day_is_listed_by_workflow_and_model
        another_tenants_spending_is_not_there_and_the_host_sees_all
        calls_at_the_same_moment_are_all_counted
        numbers_beyond_all_measure_are_bounded;
    secrets:
        a_secret_reads_back_as_it_was_sealed
        secrets_stand_apart_by_owner
        secrets_of_other_keys_are_found_in_all_tenants;
    texts:
        every_character_comes_back
        large_texts_come_back
        numbers_come_back_to_the_last_bit
        a_value_nested_too_deep_is_refused;
    ownership:
        a_second_host_is_refused_until_the_first_lets_go
        a_store_that_is_dropped_lets_go
        opening_again_finds_everything
        a_closed_store_says_so
        a_caller_who_goes_away_leaves_the_store_whole
        a_store_answers_a_ping;
}
