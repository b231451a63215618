# frozen_string_literal: true

# DynoscaleRuby::Middleware: `use` it first, so that it sees the request when the server hands it
# over. It is written in C; see ext/ruby/middleware_class.c.
require_relative '../dynoscale_ruby'
