# frozen_string_literal: true

require 'fileutils'
require 'net/http'
require 'socket'
require 'tmpdir'

module DynoscaleTests
  # For tests of an AgentTest's class: support/rails_app in a directory of each test's own.
  module RailsApp
    SOURCE = File.expand_path('rails_app', __dir__)

    def self.included(test)
      test.extend(Rails)
    end

    # Whether there is one.
    module Rails
      def rails?
        Gem::Specification.find_all_by_name('railties').any?
      end
    end

    def setup
      super
      skip 'Rails is not installed' unless self.class.rails?
      @directory = Dir.mktmpdir
      FileUtils.cp_r("#{SOURCE}/.", @directory)
    end

    def teardown
      FileUtils.remove_entry(@directory) if @directory
      super
    end

    def environment(config = nil, **more)
      more[:APP_CONFIG] = config if config
      Script.environment(url, DYNOSCALE_RUBY_ROOT: ROOT, RAILS_ENV: 'production', **more)
    end

    def run_in_app(*command, config: nil, **more)
      result = Script.command(*command, env: environment(config, **more), directory: @directory)
      assert_equal 0, result.status.exitstatus, result.err
      result
    end

    # Starts a server by Ruby and these arguments, asks it from four sides, and ends it.
    def assert_reports_every_request(*command)
      port = TCPServer.open('127.0.0.1', 0) { |server| server.addr[1] }
      log = File.join(@directory, 'server.log')
      pid = Process.spawn(ENV.slice(*Script::KEPT).merge(environment),
                          RbConfig.ruby, *command, '-b', '127.0.0.1', '-p', port.to_s,
                          unsetenv_others: true, chdir: @directory, %i[out err] => log)
      wait_until('the server is up', seconds: 60) { up?(port) || died?(pid, log) }
      requests = Array.new(4) { Thread.new { Array.new(10) { get(port, stamp(3000)) } } }
      assert_equal ['200'], requests.flat_map(&:value).uniq
      Process.kill(:TERM, pid)
      Script.wait(pid, 30)
      pid = nil
      assert_equal 40, receiver.rows.size
      assert(metrics.all? { |metric| (3000..8000).cover?(metric) }, metrics.inspect)
    ensure
      Script.wait(pid, 0.1) if pid
    end

    private

    def up?(port)
      TCPSocket.open('127.0.0.1', port, &:close) || true
    rescue Errno::ECONNREFUSED
      false
    end

    def died?(pid, log)
      flunk File.read(log) if Process.wait(pid, Process::WNOHANG)
    end

    def get(port, start)
      request = Net::HTTP::Get.new('/', 'X-Request-Start' => start)
      Net::HTTP.start('127.0.0.1', port) { |http| http.request(request) }.code
    end
  end
end
