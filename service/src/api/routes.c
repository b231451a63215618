/*
 * Every address of the API, who may use it, and whether it writes. openapi.yaml describes each; a
 * test walks both.
 */
#include "api/resources.h"

#define APP     "/api/v1/apps/{app}"
#define PROCESS APP "/processes/{process}"

/* Method, path, least role, writes, of one app, function. */
const struct api_route api_routes[] = {
    {HTTP_GET, "/api/v1/openapi.yaml", API_NOBODY, false, true, openapi_show},
    {HTTP_GET, "/api/v1/setup", API_NOBODY, false, true, setup_show},
    {HTTP_POST, "/api/v1/setup/link", API_LOCAL, false, false, setup_link},

    {HTTP_GET, "/api/v1/session", API_READ, false, true, session_show},
    {HTTP_POST, "/api/v1/session", API_NOBODY, false, true, session_sign_in},
    {HTTP_DELETE, "/api/v1/session", API_READ, true, true, session_sign_out},
    {HTTP_POST, "/api/v1/links/check", API_NOBODY, false, true, link_check},
    {HTTP_POST, "/api/v1/links/use", API_NOBODY, false, true, link_use},
    {HTTP_GET, "/api/v1/account/sessions", API_READ, false, false, sessions_list},
    {HTTP_DELETE, "/api/v1/account/sessions/{session}", API_READ, false, false, sessions_end},
    {HTTP_PUT, "/api/v1/account/password", API_READ, false, false, account_set_password},
    {HTTP_GET, "/api/v1/account/factor", API_READ, false, false, factor_show},
    {HTTP_POST, "/api/v1/account/factor", API_READ, false, false, factor_begin},
    {HTTP_POST, "/api/v1/account/factor/confirm", API_READ, false, false, factor_confirm_own},
    {HTTP_POST, "/api/v1/account/factor/recovery", API_READ, false, false, factor_renew_recovery},
    {HTTP_POST, "/api/v1/account/factor/off", API_READ, false, false, factor_off},

    {HTTP_GET, "/api/v1/sign-in", API_ADMIN, false, false, sign_in_show},
    {HTTP_PUT, "/api/v1/sign-in", API_ADMIN, true, false, sign_in_change},

    {HTTP_GET, "/api/v1/people", API_ADMIN, false, false, people_list},
    {HTTP_POST, "/api/v1/people", API_ADMIN, true, false, people_add},
    {HTTP_PATCH, "/api/v1/people/{person}", API_ADMIN, true, false, people_change},
    {HTTP_DELETE, "/api/v1/people/{person}", API_ADMIN, true, false, people_remove},
    {HTTP_POST, "/api/v1/people/{person}/link", API_ADMIN, true, false, people_link},
    {HTTP_DELETE, "/api/v1/people/{person}/sessions", API_ADMIN, true, false, people_end_sessions},
    {HTTP_DELETE, "/api/v1/people/{person}/factor", API_ADMIN, true, false, people_reset_factor},
    {HTTP_PUT, "/api/v1/people/{person}/password", API_LOCAL, false, false, people_set_password},
    {HTTP_GET, "/api/v1/tokens", API_ADMIN, false, false, tokens_list},
    {HTTP_POST, "/api/v1/tokens", API_ADMIN, true, false, tokens_add},
    {HTTP_DELETE, "/api/v1/tokens/{token}", API_ADMIN, true, false, tokens_remove},
    {HTTP_GET, "/api/v1/audit", API_ADMIN, false, false, audit_list},

    {HTTP_GET, "/api/v1/platforms", API_READ, false, true, platforms_list},
    {HTTP_POST, "/api/v1/rules/check", API_READ, false, true, rules_check},
    {HTTP_GET, "/api/v1/metrics", API_READ, false, true, metrics_show},
    {HTTP_GET, "/metrics", API_READ, false, true, metrics_show},
    {HTTP_GET, "/api/v1/events", API_READ, false, true, events_stream},

    {HTTP_GET, "/api/v1/apps", API_READ, false, true, apps_list},
    {HTTP_POST, "/api/v1/apps", API_ADMIN, true, false, apps_add},
    {HTTP_GET, APP, API_READ, false, false, apps_show},
    {HTTP_PATCH, APP, API_ADMIN, true, false, apps_change},
    {HTTP_DELETE, APP, API_ADMIN, true, false, apps_remove},
    {HTTP_POST, APP "/report-token", API_ADMIN, true, false, apps_rotate_token},
    {HTTP_GET, APP "/audit", API_READ, false, false, audit_list_app},
    {HTTP_GET, APP "/events", API_READ, false, false, events_list},
    {HTTP_GET, APP "/export", API_READ, false, false, export_app},
    {HTTP_GET, APP "/series", API_READ, false, false, series_show},
    {HTTP_GET, APP "/sources", API_READ, false, false, sources_list},

    {HTTP_GET, APP "/rules", API_READ, false, false, rules_show},
    {HTTP_PUT, APP "/rules", API_WRITE, true, false, rules_change},
    {HTTP_POST, APP "/rules/plan", API_READ, false, false, rules_plan},
    {HTTP_GET, APP "/rules/history", API_READ, false, false, rules_history},
    {HTTP_POST, APP "/rules/rollback", API_WRITE, true, false, rules_roll_back},

    {HTTP_GET, APP "/platform", API_READ, false, false, platform_show},
    {HTTP_PUT, APP "/platform", API_ADMIN, false, false, platform_change},
    {HTTP_DELETE, APP "/platform", API_ADMIN, false, false, platform_forget},
    {HTTP_POST, APP "/platform/test", API_OPERATE, false, false, platform_test},

    {HTTP_GET, APP "/channels", API_READ, false, false, channels_list},
    {HTTP_POST, APP "/channels", API_OPERATE, true, false, channels_add},
    {HTTP_PATCH, APP "/channels/{channel}", API_OPERATE, true, false, channels_change},
    {HTTP_DELETE, APP "/channels/{channel}", API_OPERATE, true, false, channels_remove},
    {HTTP_POST, APP "/channels/{channel}/test", API_OPERATE, false, false, channels_test},
    {HTTP_GET, APP "/notices", API_READ, false, false, notices_list},

    {HTTP_GET, APP "/processes", API_READ, false, false, processes_list},
    {HTTP_GET, PROCESS, API_READ, false, false, processes_show},
    {HTTP_GET, PROCESS "/wanted", API_READ, false, false, processes_wanted},
    {HTTP_GET, PROCESS "/chart", API_READ, false, false, ledger_chart},
    {HTTP_GET, PROCESS "/ledger", API_READ, false, false, ledger_list},
    {HTTP_GET, PROCESS "/explain", API_READ, false, false, ledger_explain},
    {HTTP_GET, PROCESS "/replay", API_READ, false, false, ledger_replay},
    {HTTP_POST, PROCESS "/trial", API_READ, false, false, trial_run_rules},
    {HTTP_GET, PROCESS "/usage", API_READ, false, false, usage_show},
    {HTTP_PUT, PROCESS "/price", API_ADMIN, true, false, price_change},
    {HTTP_DELETE, PROCESS "/price", API_ADMIN, true, false, price_forget},
    {HTTP_POST, PROCESS "/pause", API_OPERATE, true, false, orders_pause},
    {HTTP_DELETE, PROCESS "/pause", API_OPERATE, true, false, orders_resume},
    {HTTP_POST, PROCESS "/boost", API_OPERATE, true, false, orders_boost},
    {HTTP_DELETE, PROCESS "/boost", API_OPERATE, true, false, orders_end_boost},
    {HTTP_PUT, PROCESS "/switch", API_OPERATE, true, false, orders_switch},
};
const size_t api_route_count = sizeof api_routes / sizeof *api_routes;

/* Made of openapi.yaml by `make`. */
extern const char api_description[];

void openapi_show(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, api_description);
    call->type = "application/yaml";
}
