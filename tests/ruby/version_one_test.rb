# frozen_string_literal: true

require 'test_helper'

# What version 1.x documented or had in public, as apps of then wrote it. In Rails it was
# `gem 'dynoscale_ruby'` alone, which gem_in_rails_test.rb has.
class VersionOneTest < DynoscaleTests::AgentTest
  # Run in a process that has not loaded the gem.
  def run_script(code, **environment)
    result = DynoscaleTests::Script.command(
      RbConfig.ruby, '-W', "-I#{DynoscaleTests::Script::LIBRARY}", '-e', code,
      env: environment.transform_keys(&:to_s)
    )
    assert_equal ['', 0], [result.err, result.status.exitstatus]
    result.out
  end

  def on(**more)
    DynoscaleTests::Script.environment(url, **more).transform_keys(&:to_sym)
  end

  APP = <<~'RUBY'
    require 'rack'
    require 'dynoscale_ruby/middleware'

    APP = Rack::Builder.app do
      use DynoscaleRuby::Middleware
      use Rack::Runtime
      run ->(_env) { [200, { 'Content-Type' => 'text/plain' }, ['ok']] }
    end
    3.times do
      start = (Time.now.to_f * 1000).to_i.to_s
      Rack::MockRequest.new(APP).get('/', 'HTTP_X_REQUEST_START' => start).status == 200 or abort
    end
  RUBY

  def test_the_rack_lines_report
    assert_equal '', run_script(APP, **on(HEROKU_APP_NAME: 'named'))
    assert_equal 3, receiver.rows.size
    assert_equal %w[web.1 named], receiver.reports[0]['headers'].values_at('x_dyno', 'x_app_name')
  end

  def test_the_variable_for_development_reports_as_its_first_dyno
    run_script(APP, DYNOSCALE_URL: url, DYNOSCALE_DEV: 'true')
    assert_equal 3, receiver.rows.size
    assert_equal 'dev.1', receiver.reports[0]['headers']['x_dyno']
  end

  def test_the_variable_to_skip_it_skips_it
    run_script(APP, **on(SKIP_DYNOSCALE_AGENT: 'true'))
    run_script(APP, **on(DYNO: 'web.2'))
    run_script(APP, DYNO: 'web.1')
    assert_equal 0, receiver.wait['reports']
  end

  def test_each_file_that_could_be_required_defines_what_it_did
    version = "#{DynoscaleRuby::VERSION}\n"
    assert_equal version, run_script('require "dynoscale_ruby"; puts DynoscaleRuby::VERSION')
    assert_equal version, run_script('require "dynoscale_ruby/version"; puts DynoscaleRuby::VERSION')
    assert_equal "Class\n", run_script('require "dynoscale_ruby/middleware"; ' \
                                       'puts DynoscaleRuby::Middleware.class')
  end

  def test_code_that_rescues_its_error_goes_on_to_do_so
    assert_equal "ZeroDivisionError\n", run_script(<<~RUBY)
      require 'dynoscale_ruby'
      begin
        begin
          1 / 0
        rescue DynoscaleRuby::Error
          abort
        end
      rescue StandardError => e
        puts e.class
      end
      raise unless DynoscaleRuby::Error < StandardError
    RUBY
  end
end
