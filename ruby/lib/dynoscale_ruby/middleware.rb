# frozen_string_literal: true

# DynoscaleRuby::Middleware: `use` it first, so that it gets the request when the server calls the
# app. See rack.rb.
require_relative '../dynoscale_ruby'
