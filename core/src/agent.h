/*
 * Lets tests replace the agent's transport.
 */
#ifndef DS_AGENT_H
#define DS_AGENT_H

#include "dynoscale.h"
#include "transport.h"

/* dynoscale_agent_open with the given transport. */
dynoscale_error ds_agent_open(const dynoscale_options *options, const char *language,
                              const ds_transport *transport, dynoscale_agent **agent);

#endif
