/*
 * What one may do. A person has the role read, operate or admin; a token the scope read, operate,
 * write or admin, because a machine that pauses need not be able to change rules.
 */
#ifndef ROLES_H
#define ROLES_H

#include <stdbool.h>

/* Each may do all that those before it may. */
enum api_role {
    API_NOBODY,
    API_READ,    /* sees everything but people and tokens */
    API_OPERATE, /* pauses, boosts, switches scaling on and off */
    API_WRITE,   /* changes rules */
    API_ADMIN,   /* apps, platforms, addresses for reports, people, tokens */
    API_LOCAL,   /* who is on the machine as the service's user: programs as platforms */
};

/* "read", "operate", "admin" of a person; operate is API_WRITE. False for another name. */
bool role_of_person(const char *name, enum api_role *role);
const char *role_person_name(enum api_role role);

/* "read", "operate", "write", "admin" of a token. */
bool role_of_scope(const char *name, enum api_role *role);
const char *role_scope_name(enum api_role role);

#endif
