#include "notify/kinds.h"

#include <stdio.h>
#include <string.h>

#include "decide/sentence.h"

enum { SILENT_S = 300, UNREAD_S = 300, UNDONE_S = 300 };

const struct kind kinds[] = {
#define X(number, name, word, after_s, usual, meaning) {number, word, after_s, usual, meaning},
    NOTICE_KINDS(X)
#undef X
        {0, NULL, 0, false, NULL},
};

const struct kind *kind_by_number(int number) {
    for (const struct kind *kind = kinds; kind->name; kind++)
        if (kind->number == number) return kind;
    return NULL;
}

const struct kind *kind_by_name(const char *name) {
    for (const struct kind *kind = kinds; kind->name; kind++)
        if (strcmp(kind->name, name) == 0) return kind;
    return NULL;
}

unsigned kinds_usual(void) {
    unsigned bits = 0;
    for (const struct kind *kind = kinds; kind->name; kind++)
        if (kind->usual) bits |= 1u << kind->number;
    return bits;
}

/* ---- What holds ------------------------------------------------------------------------------ */

static int64_t most_dynos(const struct situation *now, const struct rule *rule) {
    return now->limit >= 0 && now->limit < rule->max ? now->limit : rule->max;
}

/* A rule with a single number has no maximum to reach. */
static bool at_maximum(const struct situation *now, const struct rule *rule) {
    return rule->max > rule->min && now->ordered > 0 && now->ordered >= most_dynos(now, rule);
}

static bool is_silent(const struct situation *now) {
    return now->ordered != 0 && now->heard_age > SILENT_S;
}

static bool can_not_be_used(const struct situation *now, int form) {
    bool unread = now->trouble[0] && (now->formation_age < 0 || now->formation_age > UNREAD_S);
    bool undone = now->act_state == ACT_FAILED && now->act_age > UNDONE_S;
    return unread || undone || now->act_state == ACT_REFUSED || form == SENTENCE_HOLD_REFUSED;
}

/* With scaling off nothing depends on the conditions. */
unsigned kinds_look(const struct ledger_tick *tick, const struct rule *rule) {
    const struct situation *now = &tick->situation;
    int form = tick->decision.form;
    unsigned bits = 0;
    if (!now->scaling) return 0;
    if (at_maximum(now, rule)) bits |= 1u << NOTICE_MAXIMUM;
    if (is_silent(now)) bits |= 1u << NOTICE_SILENT;
    if (can_not_be_used(now, form)) bits |= 1u << NOTICE_PLATFORM;
    if (form == SENTENCE_HOLD_STOOD_DOWN) bits |= 1u << NOTICE_OTHERS;
    if (form == SENTENCE_HOLD_FUTILE || form == SENTENCE_HOLD_CEILING) bits |= 1u << NOTICE_FUTILE;
    return bits;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void began(char *title, size_t size, const struct notice *notice,
                  const struct ledger_tick *tick, const struct rule *rule) {
    long long most = most_dynos(&tick->situation, rule);
    switch (notice->kind) {
    case NOTICE_MAXIMUM:
        snprintf(title, size, "at its maximum of %lld dynos for 10 minutes", most);
        break;
    case NOTICE_SILENT:
        snprintf(title, size, "no report for 5 minutes");
        break;
    case NOTICE_PLATFORM:
        snprintf(title, size, "its dynos can't be %s",
                 tick->situation.act_state == ACT_REFUSED  ? "changed: the platform refuses"
                 : tick->situation.act_state == ACT_FAILED ? "changed"
                                                           : "read from the platform");
        break;
    case NOTICE_OTHERS:
        snprintf(title, size, "somebody else scales it too");
        break;
    default:
        snprintf(title, size, "more dynos do not help");
    }
}

static const char *ended(int kind) {
    switch (kind) {
    case NOTICE_MAXIMUM:
        return "no longer at its maximum";
    case NOTICE_SILENT:
        return "reports come again";
    case NOTICE_PLATFORM:
        return "the platform does as it is told again";
    case NOTICE_OTHERS:
        return "nobody else scales it any more";
    default:
        return "the wait that more dynos did not help is over";
    }
}

void kinds_write(struct notice *notice, const char *app, const struct ledger_tick *tick,
                 const struct rule *rule) {
    char what[NOTICE_TITLE_SIZE / 2];
    if (notice->state == NOTICE_BEGAN) began(what, sizeof what, notice, tick, rule);
    else snprintf(what, sizeof what, "%s", ended(notice->kind));
    snprintf(notice->title, sizeof notice->title, "%s %s: %s", app, tick->process, what);
    const char *trouble = notice->kind == NOTICE_PLATFORM ? tick->situation.trouble : "";
    snprintf(notice->body, sizeof notice->body, "%s%sThe last decision: %s\nNext: %s\n", trouble,
             *trouble ? "\n" : "", tick->decision.sentence, tick->decision.next);
}
