# frozen_string_literal: true

# DynoscaleRuby::Middleware: `use` it first, so that it sees the request when the server hands it
# over. See rack.rb.
require_relative '../dynoscale_ruby'
