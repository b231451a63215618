/*
 * What callers may do. A person has the role read, operate or admin. A token has the scope read,
 * operate, write or admin, because a machine that pauses scaling need not be able to change rules.
 */
#ifndef ROLES_H
#define ROLES_H

#include <stdbool.h>

/* In ascending order: each may do everything that those before it may. */
enum api_role {
    API_NOBODY,
    API_READ,    /* sees everything except people and tokens */
    API_OPERATE, /* pauses, boosts, switches scaling on and off */
    API_WRITE,   /* changes rules */
    API_ADMIN,   /* apps, platforms, addresses for reports, people, tokens */
    API_LOCAL,   /* on the machine, as the service's user: also programs as platforms */
};

/* Reads a person's role: "read", "operate", "admin"; operate is API_WRITE. False for another
 * name. */
bool role_of_person(const char *name, enum api_role *role);
const char *role_person_name(enum api_role role);

/* Reads a token's scope: "read", "operate", "write", "admin". */
bool role_of_scope(const char *name, enum api_role *role);
const char *role_scope_name(enum api_role role);

#endif
