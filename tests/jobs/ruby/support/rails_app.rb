# frozen_string_literal: true

require 'fileutils'
require 'tmpdir'

module JobTests
  # The files of a small Rails app.
  module RailsApp
    module_function

    ENVIRONMENT = <<~RUBY
      ENV['RAILS_ENV'] ||= 'production'
      ENV['SECRET_KEY_BASE'] ||= 'x' * 64
      require 'logger'
      require 'rails'
      require 'active_job/railtie'
      require 'action_controller/railtie'
      %<libraries>s
      require 'dynoscale_ruby'
      class App < Rails::Application
        config.root = __dir__ + '/..'
        config.eager_load = false
        config.logger = Logger.new($stdout, level: :warn)
        config.hosts.clear
        %<configuration>s
      end
      class WorkJob < ActiveJob::Base
        def perform(*); end
      end
      THREADS = -> { "threads=#{Thread.list.map(&:name).grep(/dynoscale/).size}" }
      App.initialize!
      App.routes.draw { root to: ->(_) { [200, {}, ['ok']] } }
    RUBY

    # One for all tests that ask for the same.
    def shared(**options)
      @shared ||= {}
      @shared[options] ||= make(**options).tap do |directory|
        Minitest.after_run { FileUtils.rm_rf(directory) }
      end
    end

    def make(libraries:, configuration: '')
      Dir.mktmpdir('dynoscale').tap do |directory|
        FileUtils.mkdir_p(File.join(directory, 'config'))
        write(directory, 'config/environment.rb',
              format(ENVIRONMENT, libraries: libraries, configuration: configuration))
        write(directory, 'config/application.rb', "require_relative 'environment'\n")
        write(directory, 'config/puma.rb', "preload_app!\nworkers 2\nthreads 1, 2\n")
        write(directory, 'config.ru', "require_relative 'config/environment'\nrun App\n")
        write(directory, 'Rakefile', "require_relative 'config/environment'\nApp.load_tasks\n" \
                                     "task(:threads) { puts THREADS.call }\n")
        write(directory, 'bin/rails', "#!/usr/bin/env ruby\nAPP_PATH = __dir__ + '/../config/application'\n" \
                                      "require 'rails/commands'\n")
      end
    end

    def write(directory, name, text)
      path = File.join(directory, name)
      FileUtils.mkdir_p(File.dirname(path))
      File.write(path, text)
    end
  end
end
