# frozen_string_literal: true

require 'bundler/setup'
require 'logger'
require 'rails'
require 'action_controller/railtie'
Bundler.require

# An app like `rails new` makes, with as little in it as can be.
class Example < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.secret_key_base = 'no secret is kept here'
  config.logger = ActiveSupport::TaggedLogging.new(Logger.new($stdout))
end
