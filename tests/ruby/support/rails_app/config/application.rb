# frozen_string_literal: true

require 'bundler/setup'
require 'rails'
require 'action_controller/railtie'
Bundler.require

# The smallest Rails app; APP_CONFIG is evaluated in its class body.
class SmallApp < Rails::Application
  config.root = File.expand_path('..', __dir__)
  config.eager_load = true
  config.secret_key_base = 'x' * 32
  config.hosts.clear
  config.logger = Logger.new($stdout, formatter: ->(level, _, _, text) { "#{level}: #{text}\n" })
  config.log_level = :info
  routes.append { get '/', to: ->(_env) { [200, {}, ['ok']] } }
  class_eval(ENV['APP_CONFIG']) if ENV['APP_CONFIG']
end
