# frozen_string_literal: true

# A Rails app in one file: as in a Gemfile, the gem is required and nothing else is done.
require 'logger'
require 'action_controller/railtie'
require 'dynoscale_ruby'

# Answers every request.
class HelloController < ActionController::Base
  def show
    render plain: "hello\n"
  end
end

# The app; its middleware is left to the Railtie.
class ServedApp < Rails::Application
  config.root = __dir__
  config.eager_load = true
  config.secret_key_base = 'not a secret'
  config.logger = Logger.new($stderr, level: :warn)
  config.hosts.clear

  routes.append { match '/', to: 'hello#show', via: :all }
end

run ServedApp.initialize!
