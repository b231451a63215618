# frozen_string_literal: true

require 'test_helper'
require_relative 'support/rails_app'

# The Railtie, in a small app of its own under Bundler whose Gemfile names the gem and nothing else.
class RailsTest < DynoscaleTests::AgentTest
  include DynoscaleTests::RailsApp

  LOAD = 'require "./config/environment"; STACK = Rails.application.middleware.map(&:name); '
  OURS = 'DynoscaleRuby::Middleware'

  # At its end a process says whether it had the middleware, and how many threads it started.
  TELL = "config.log_level = :warn; ::MOUNTED = -> { Rails.application.middleware.include?(#{OURS}) }; " \
         'at_exit { DynoscaleRuby.flush; p [MOUNTED.call, DynoscaleRuby.stats[:thread_starts]] }'

  # A request to the app, in code for `server`.
  REQUEST = <<~RUBY
    Rails.application.call(
      Rack::MockRequest.env_for('/', 'HTTP_X_REQUEST_START' => (Time.now.to_f * 1000).to_i.to_s)
    )[0] == 200 or abort
  RUBY

  # What a process that may serve prints.
  def server(code, config: nil, **more)
    run_in_app(RbConfig.ruby, '-e', LOAD + code, config: config, **more).out
  end

  def rails(*arguments, **more)
    run_in_app(RbConfig.ruby, 'bin/rails', *arguments, **more)
  end

  def test_the_middleware_is_the_first
    assert_equal "0\n1\n", server("puts STACK.index('#{OURS}'), STACK.count('#{OURS}')")
  end

  def test_it_is_the_first_whatever_the_app_puts_there
    config = 'config.middleware.delete Rack::Runtime; config.middleware.insert_before 0, Rack::ETag; ' \
             'config.middleware.unshift Rack::Head; config.force_ssl = true'
    assert_equal "#{OURS} Rack::Head\n", server("puts STACK.first(2).join(' ')", config: config)
  end

  # What the app itself does not see: all of it takes a thread of the server.
  def test_requests_that_rails_answers_by_itself_are_counted
    FileUtils.mkdir_p("#{@directory}/public")
    File.write("#{@directory}/public/a.css", 'x')
    config = 'config.public_file_server.enabled = true; config.force_ssl = true; config.hosts << "good.example"'
    output = server(<<~RUBY, config: config)
      ASK = lambda do |path, more = {}|
        before = DynoscaleRuby.stats[:recorded]
        stamp = (Time.now.to_f * 1000).to_i.to_s
        env = { 'HTTP_HOST' => 'good.example', 'HTTPS' => 'on', 'HTTP_X_REQUEST_START' => stamp }.merge(more)
        status, = Rails.application.call(Rack::MockRequest.env_for(path, env))
        [status, DynoscaleRuby.stats[:recorded] - before]
      end
      p ASK.('/'), ASK.('/a.css'), ASK.('/', 'HTTPS' => 'off', 'rack.url_scheme' => 'http'),
        ASK.('/', 'HTTP_HOST' => 'evil.example')
    RUBY
    assert_equal "[200, 1]\n[200, 1]\n[301, 1]\n[403, 1]\n", output.lines.last(4).join
  end

  def test_the_apps_own_operations_on_it_hold
    assert_equal "false\n", server("p STACK.include?('#{OURS}')",
                                   config: "initializer(:own, after: 'dynoscale.middleware') { " \
                                           "config.middleware.delete #{OURS} }")
    assert_equal "#{OURS} Rack::TempfileReaper\n",
                 server("puts STACK.first(2).join(' ')",
                        config: "config.middleware.insert_after #{OURS}, Rack::TempfileReaper")
  end

  def test_a_request_is_counted_once_even_if_the_app_uses_the_middleware_too
    server(<<~RUBY, config: "config.middleware.use #{OURS}")
      5.times do
        env = Rack::MockRequest.env_for('/', 'HTTP_X_REQUEST_START' => (Time.now.to_f * 1000).to_i.to_s)
        Rails.application.call(env)[0] == 200 or abort
      end
    RUBY
    assert_equal 5, receiver.rows.size
  end

  # As version 1.x put it there, or an app by itself.
  def test_a_request_is_counted_once_where_the_app_inserts_it_before_rack_runtime
    assert_equal "[true, 1]\n", server(REQUEST, config: "#{TELL}; require 'dynoscale_ruby/middleware'; " \
                                                        "config.middleware.insert_before Rack::Runtime, #{OURS}")
    assert_equal 1, receiver.rows.size
  end

  def test_rails_server_reports_every_request
    assert_reports_every_request('bin/rails', 'server')
  end

  def test_commands_that_serve_nothing_leave_the_stack_alone
    code = "p Rails.application.middleware.include?(#{OURS}), DynoscaleRuby.stats[:thread_starts]"
    assert_equal "false\n0\n", rails('runner', code).out
    assert_equal "false\n", rails('serving').out
    console = IO.popen([environment, RbConfig.ruby, 'bin/rails', 'console',
                        { chdir: @directory, err: File::NULL }], 'r+')
    console.puts(code, 'exit')
    console.close_write
    assert_match(/^false\n0$/, console.read)
    console.close
    assert_match(%r{^ +create +lib/generators}, rails('generate', 'generator', 'thing').out)
    assert_equal 0, receiver.wait['reports']
  end

  def test_other_commands_and_tasks_serve_nothing_either
    config = 'config.after_initialize { warn DynoscaleRuby::Railtie.serving? }; ' \
             'at_exit { warn DynoscaleRuby.stats[:thread_starts] }'
    %w[routes initializers serving].each do |command|
      assert_equal "false\n0\n", rails(command, config: config).err, command
    end
    assert_equal 0, receiver.wait['reports']
  end

  def test_assets_are_precompiled_without_it
    need_gem 'sprockets-rails'
    FileUtils.mkdir_p("#{@directory}/app/assets/config")
    File.write("#{@directory}/app/assets/config/manifest.js", '')
    output = rails('assets:precompile', MORE_GEMS: 'sprockets-rails',
                                        config: "require 'sprockets/railtie'; #{TELL}").out
    assert_equal "[false, 0]\n", output.lines.last
    refute_empty Dir.children("#{@directory}/public/assets")
    assert_equal 0, receiver.wait['reports']
  end

  def test_one_off_and_release_dynos_start_nothing_even_where_they_serve
    %w[run.1 run.4711 release.1 scheduler.1].each do |dyno|
      assert_equal "[false, 0]\n", server(REQUEST, config: TELL, DYNO: dyno, DYNOSCALE_DYNOS: 'all')
    end
    assert_equal 0, receiver.wait['reports']
  end

  def test_bootsnap_does_not_mind_it
    need_gem 'bootsnap'
    file = "#{@directory}/config/application.rb"
    setup = "require 'bundler/setup'\n"
    File.write(file, File.read(file).sub(setup) { "#{setup}require 'bootsnap/setup'\n" })
    2.times { |i| assert_equal "[true, 1]\n", server(REQUEST, config: TELL, MORE_GEMS: 'bootsnap'), i }
    assert_equal 2, receiver.rows.size
    refute_empty Dir["#{@directory}/tmp/cache/bootsnap/**/*"]
  end

  # Spring keeps a process with the app, and forks commands from it.
  def test_commands_under_spring_start_nothing
    need_gem 'spring'
    skip 'Spring before 3.0 does not know this Rails' if version('spring') < 3 && version('railties') >= 7
    spring = lambda do |*command|
      run_in_app(RbConfig.ruby, '-S', 'bundle', 'exec', 'spring', *command,
                 RAILS_ENV: 'development', MORE_GEMS: 'spring', SPRING_TMP_PATH: @directory,
                 config: "config.cache_classes = config.eager_load = false; #{TELL}")
    end
    result = spring.call('rails', 'runner', 'puts [MOUNTED.call, DynoscaleRuby::Railtie.serving?].inspect')
    assert_match(/Running via Spring/, result.err)
    assert_equal "[false, false]\n[false, 0]\n", result.out
    assert_equal 0, receiver.wait['reports']
  ensure
    spring&.call('stop')
  end

  def test_a_server_of_an_app_that_has_spring_reports
    need_gem 'spring'
    assert_equal "[true, 1]\n", server(REQUEST, config: TELL, MORE_GEMS: 'spring')
    assert_equal 1, receiver.rows.size
  end

  def test_an_app_that_is_an_api_alone_reports
    assert_equal "[true, 1]\n", server(REQUEST, config: "config.api_only = true; #{TELL}")
    assert_equal 1, receiver.rows.size
  end

  def test_a_request_to_a_mounted_engine_is_counted_once
    config = <<~RUBY
      engine = Class.new(Rails::Engine) do
        def self.name = 'Mounted'
        def self.find_root(_) = Pathname.pwd
        middleware.use Rack::Runtime
        routes.append { get '/', to: ->(_) { [200, {}, ['mounted']] } }
      end
      routes.append { mount engine => '/mounted' }
      #{TELL}
    RUBY
    assert_equal "[true, 1]\n", server(REQUEST.sub("'/'", "'/mounted'"), config: config)
    assert_equal 1, receiver.rows.size
  end

  def test_loggers_of_all_kinds_are_used_and_left_as_they_are
    config = <<~RUBY
      own = ActiveSupport::TaggedLogging.new(Logger.new($stdout, level: Logger::INFO))
      config.log_tags = [:request_id]
      config.logger = defined?(ActiveSupport::BroadcastLogger) ? ActiveSupport::BroadcastLogger.new(own) : own
      ::LOGGER = config.logger
      ::LOOK = -> { [LOGGER.level, LOGGER.formatter, own.level, own.formatter].map(&:inspect) }
      config.after_initialize { ::BEFORE = LOOK.call }
      config.dynoscale.publish_frequency = 'soon'
    RUBY
    output = server('p LOOK.call == BEFORE, LOGGER.equal?(Rails.logger)', config: config)
    assert_match(/\A\[dynoscale\] publish_frequency is "soon"/, output)
    assert_equal %W[true\n true\n], output.lines.last(2)
  end

  def test_the_switches_can_be_given_in_rails_configuration
    config = 'config.dynoscale.queue_time = true; config.dynoscale.server_timing = true'
    output = server(<<~RUBY, config: config)
      env = Rack::MockRequest.env_for('/', 'HTTP_X_REQUEST_START' => (Time.now.to_f * 1000).to_i.to_s)
      puts Rails.application.call(env)[1]['server-timing'], env['dynoscale.queue_time_ms'].class
      puts DynoscaleRuby.settings.source(:queue_time)
    RUBY
    assert_match(/^queue;dur=\d+\nInteger\nframework\n\z/, output)
  end

  def test_rails_middleware_shows_what_a_server_has
    assert_match(/\Ause #{OURS}$/, rails('middleware').out)
  end

  def test_rails_runner_prints_the_version
    assert_equal "#{DynoscaleRuby::VERSION}\n", rails('runner', 'puts DynoscaleRuby::VERSION').out
  end

  def test_the_stack_is_unchanged_while_the_agent_is_off
    [{ DYNOSCALE_URL: '' }, { DYNO: 'web.2' }, { DYNO: 'run.1' }, { SKIP_DYNOSCALE_AGENT: '1' }]
      .each { |off| assert_equal "false\n", server("p STACK.include?('#{OURS}')", **off) }
  end

  def test_configuration_of_rails_counts_between_code_and_environment
    FileUtils.mkdir_p("#{@directory}/config/initializers")
    File.write("#{@directory}/config/initializers/dynoscale.rb",
               'DynoscaleRuby.configure { |c| c.app_name = "code" }')
    output = server('s = DynoscaleRuby.settings; p s.publish_frequency, s.app_name, s.dyno, ' \
                    '%i[publish_frequency app_name dyno].map { |name| s.source(name) }',
                    config: 'require "active_support/core_ext/numeric/time"; ' \
                            'config.dynoscale.publish_frequency = 45.seconds; ' \
                            'config.dynoscale.app_name = "rails"; config.dynoscale.dyno = "web.1"',
                    DYNO: 'web.9', HEROKU_APP_NAME: 'environment')
    assert_equal "45\n\"code\"\n\"web.1\"\n[:framework, :code, :framework]\n", output
  end

  def test_wrong_configuration_is_a_warning_in_the_apps_log
    output = server('', config: 'config.dynoscale.publish_frequency = "soon"; ' \
                                'config.dynoscale.nothing = 5; config.dynoscale.logger = 5')
    lines = output.lines.grep(/dynoscale/).sort
    assert_match(/\AWARN: \[dynoscale\] logger is an Integer, which has no methods/, lines[0])
    assert_match(/\AWARN: \[dynoscale\] publish_frequency is "soon", which is not/, lines[1])
    assert_match(/\AWARN: \[dynoscale\] there is no setting "nothing": it is ignored/, lines[2])
    assert_equal 3, lines.size
    assert_includes server('', config: 'config.dynoscale = 5'),
                    "the framework's settings are an Integer, not a Hash: they are ignored"
  end

  def test_the_apps_logger_is_left_as_it_is
    assert_equal "1\n", server('puts Rails.logger.level')
  end

  private

  # Skips where it is not to be had by the app.
  def need_gem(name)
    skip "#{name} is not installed" if Gem::Specification.find_all_by_name(name).empty?
  end

  def version(name)
    Gem::Specification.find_by_name(name).version.segments.first
  end
end
