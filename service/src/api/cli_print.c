/* Tables and times for people. */
#define _GNU_SOURCE /* strdup */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"
#include "clock.h"
#include "rules/zone.h"

/* The columns that a text takes on a terminal: characters, not bytes. */
static int width(const char *text) {
    int count = 0;
    for (; *text; text++) count += (*text & 0xC0) != 0x80;
    return count;
}

static bool table_lost;

bool cli_table_lost(void) { return table_lost; }

/* A copy without control characters, which could move the cursor or change colours. */
static char *harmless(const char *text) {
    char *copy = strdup(text);
    table_lost |= !copy;
    if (copy) text_make_seen(copy, strlen(copy));
    return copy;
}

void cli_row(struct cli_table *table, const char *const *cells) {
    size_t columns = (size_t)table->columns;
    if ((table->count + 1) * columns > table->room) {
        size_t room = table->room ? table->room * 2 : 16 * columns;
        char **longer = realloc(table->cells, room * sizeof *longer);
        table_lost |= !longer;
        if (!longer) return;
        table->cells = longer;
        table->room = room;
    }
    for (size_t i = 0; i < columns; i++)
        table->cells[table->count * columns + i] = harmless(cells[i] ? cells[i] : "-");
    table->count++;
}

void cli_print_table(struct cli_table *table) {
    size_t columns = (size_t)table->columns;
    int widest[16] = {0};
    for (size_t i = 0; i < table->count * columns; i++) {
        int cell = table->cells[i] ? width(table->cells[i]) : 0;
        if (cell > widest[i % columns]) widest[i % columns] = cell;
    }
    for (size_t i = 0; i < table->count * columns; i++) {
        const char *cell = table->cells[i] ? table->cells[i] : "";
        bool last = i % columns == columns - 1;
        fputs(cell, stdout);
        if (!last) printf("%*s", widest[i % columns] - width(cell) + 2, "");
        else putchar('\n');
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct cli_table){.columns = table->columns};
}

const char *cli_moment(char text[32], const json_t *epoch, const char *zone_name) {
    int64_t at_s = json_integer_value(epoch);
    const struct zone *zone = zone_find(zone_name && *zone_name ? zone_name : "UTC");
    if (!json_is_integer(epoch) || !zone) return "-";
    int64_t now_s = ds_clock_wall_ns() / 1000000000;
    struct zone_time at = zone_time(zone, at_s), now = zone_time(zone, now_s);
    bool today = at.year == now.year && at.month == now.month && at.day == now.day;
    int used = today ? 0
                     : snprintf(text, 32, "%04d-%02d-%02d ", at.year % 10000, at.month % 100,
                                at.day % 100);
    snprintf(text + used, (size_t)(32 - used), "%02d:%02d:%02d", at.second / 3600,
             at.second / 60 % 60, at.second % 60);
    return text;
}

const char *cli_string(const json_t *object, const char *member) {
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "";
}

const char *cli_cell(char text[64], const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    if (json_is_string(value)) snprintf(text, 64, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, 64, "%" PRId64, (int64_t)json_integer_value(value));
    else if (json_is_boolean(value)) snprintf(text, 64, "%s", json_is_true(value) ? "yes" : "no");
    else return "-";
    return text;
}
