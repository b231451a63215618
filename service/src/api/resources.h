/*
 * What the files of api/ share: the resources, which routes.c lists, and how they answer.
 */
#ifndef RESOURCES_H
#define RESOURCES_H

#include "api/api.h"
#include "api/input.h"
#include "people/session.h"
#include "rules/rule.h"

/* apps.c */
void apps_list(struct api_call *call);
void apps_add(struct api_call *call);
void apps_show(struct api_call *call);
void apps_change(struct api_call *call);
void apps_remove(struct api_call *call);
void apps_rotate_token(struct api_call *call);

/* status.c */
void processes_list(struct api_call *call);
void processes_show(struct api_call *call);
void processes_wanted(struct api_call *call);

/* metrics.c */
void metrics_show(struct api_call *call);

/* ledger.c */
void ledger_list(struct api_call *call);
void ledger_explain(struct api_call *call);
void ledger_chart(struct api_call *call);
void ledger_replay(struct api_call *call);
void events_list(struct api_call *call);
void events_stream(struct api_call *call);

/* measured.c */
void series_show(struct api_call *call);
void sources_list(struct api_call *call);
void export_app(struct api_call *call);

/* rules.c */
void rules_show(struct api_call *call);
void rules_change(struct api_call *call);
void rules_check(struct api_call *call);
void rules_plan(struct api_call *call);
void rules_history(struct api_call *call);
void rules_roll_back(struct api_call *call);

/* orders.c */
void orders_pause(struct api_call *call);
void orders_resume(struct api_call *call);
void orders_boost(struct api_call *call);
void orders_end_boost(struct api_call *call);
void orders_switch(struct api_call *call);

/* platform.c */
void platforms_list(struct api_call *call);
void platform_show(struct api_call *call);
void platform_change(struct api_call *call);
void platform_test(struct api_call *call);
void platform_forget(struct api_call *call);
/* Called before an app or its platform is removed, outside of a transaction; blocks for some
 * seconds. */
void platform_undo(struct api_call *call);

/* channels.c */
void channels_list(struct api_call *call);
void channels_add(struct api_call *call);
void channels_change(struct api_call *call);
void channels_remove(struct api_call *call);
void channels_test(struct api_call *call);
void notices_list(struct api_call *call);

/* account.c */
void setup_show(struct api_call *call);
void session_show(struct api_call *call);
void session_sign_in(struct api_call *call);
void session_sign_out(struct api_call *call);
void sessions_list(struct api_call *call);
void sessions_end(struct api_call *call);
void account_set_password(struct api_call *call);

/* links.c */
void setup_link(struct api_call *call);
void link_check(struct api_call *call);
void link_use(struct api_call *call);

/* people.c */
void people_list(struct api_call *call);
void people_add(struct api_call *call);
void people_change(struct api_call *call);
void people_remove(struct api_call *call);
void people_end_sessions(struct api_call *call);
void people_link(struct api_call *call);
void people_set_password(struct api_call *call);

/* factor.c */
void factor_show(struct api_call *call);
void factor_begin(struct api_call *call);
void factor_confirm_own(struct api_call *call);
void factor_renew_recovery(struct api_call *call);
void factor_off(struct api_call *call);
void sign_in_show(struct api_call *call);
void sign_in_change(struct api_call *call);
void people_reset_factor(struct api_call *call);

/* tokens.c */
void tokens_list(struct api_call *call);
void tokens_add(struct api_call *call);
void tokens_remove(struct api_call *call);

/* audit.c */
void audit_list(struct api_call *call);
void audit_list_app(struct api_call *call);

/* trial.c */
void trial_run_rules(struct api_call *call);

/* usage.c */
void usage_show(struct api_call *call);
void price_change(struct api_call *call);
void price_forget(struct api_call *call);

/* routes.c */
void openapi_show(struct api_call *call);

/* ---- How they answer ------------------------------------------------------------------------- */

/* Answers 503: the store failed. */
void api_store_failed(struct api_call *call);

/* Writes an entry to the audit log, in the call's transaction. `difference`: lines, or NULL. If it
 * fails, the call is answered with 503. */
void api_audit(struct api_call *call, int64_t app, const char *difference, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Whether the call was answered with a problem. */
static inline bool api_failed(const struct api_call *call) { return call->status >= 400; }

/* Whether the caller may still call the route, and its app is there: checked in the transaction,
 * since a session, a token or a role may have ended before it began. False: the call is answered.
 */
bool api_may_still(struct api_call *call);

/* Begins a transaction for a resource whose route has none, because it first waits for a password
 * or a platform. Its end commits unless the call failed. */
bool api_begin(struct api_call *call);
bool api_end(struct api_call *call);

/* Writes a moment as epoch seconds, 0 as null. Writes a number, a negative one as null. */
void api_put_time(struct text *text, int64_t epoch_s);
void api_put_known(struct text *text, int64_t number);

/* Writes lines as an array of texts. */
void api_put_lines(struct text *text, const char *lines);

/* rule_read that also notes if memory ran out: api_no_memory. */
struct rule_set *api_read_rules(const char *text, size_t length, const char *zone, char *error,
                                size_t size);
/* The rules of a version (0: the newest). NULL: there are none, or, if the call was answered with a
 * problem, the store failed. *text, if asked for, is the caller's. */
struct rule_set *api_rules(struct store *store, const struct app *app, int64_t version,
                           int64_t *found, char **text);

/* Stores rules as a new version, with an entry in the audit log ("changed the rules of shop"), and
 * makes their zone the app's. False: the call is answered. */
bool api_put_rules(struct api_call *call, const struct rule_set *before, struct rule_set *after,
                   const char *text, const char *what, int64_t *version);

/* Writes rules in which a process's scaling was switched: `text`, as a person wrote it, with only
 * that change, or, if that is not possible, `wanted` from scratch. */
void api_write_switched(struct text *to, const char *text, const struct rule_set *wanted,
                        const char *process, bool on);

/* A rule as JSON, with its place in the list. */
void api_put_rule(struct text *text, const struct rule *rule, int number);

/* Writes what a dyno costs; null if nobody entered that. */
struct price;
void api_put_price(struct text *text, const struct price *price);

/* Finds the path's process in the newest rules; NULL: the call is answered. The set is the
 * caller's. */
const struct rule_process *api_process(struct api_call *call, struct rule_set **set);

/* The state of an app with its processes, as JSON. */
void api_put_app(struct text *text, struct store *store, const struct app *app, int64_t now_s);

/* "https://scale.example/api/v1/report/TOKEN" of this service. */
void api_put_report_url(struct text *text, const struct api_call *call, const char *token);

#endif
