# The Ruby runtime of Lambent: talks the Lambda Runtime API over one bare socket and runs the handler.
#
# See package runtimes for the talk of a stem cell, and AWS's documentation for everything a handler can see. It stays with
# Ruby 2.7. Errors are worded as AWS's own client for Ruby words them: Function<TypeError>, Init<LoadError>.

require 'json'
require 'logger'
require 'socket'
require 'stringio'

module Lambent
  API = '/2018-06-01/runtime/'.freeze

  # HTTP/1.1 over one kept connection. A reply always has a Content-Length. Requests may be pipelined.
  class Connection
    def initialize(address)
      host, _, port = address.rpartition(':')
      @address = address
      @socket = TCPSocket.new(host, port.to_i)
      @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    end

    def frame(method, target, body = nil, headers = '')
      head = "#{method} #{target} HTTP/1.1\r\nHost: #{@address}\r\n#{headers}"
      return "#{head}\r\n".b if body.nil?

      "#{head}Content-Length: #{body.bytesize}\r\n\r\n".b << body.b
    end

    def send(bytes)
      @socket.write(bytes)
    end

    # receive returns status, headers (names in small letters) and body of the next reply.
    def receive
      status = line[9, 3].to_i
      headers = {}
      until (text = line).empty?
        name, value = text.split(': ', 2)
        headers[name.downcase] = value
      end
      [status, headers, @socket.read(headers.fetch('content-length', 0).to_i).to_s]
    end

    private

    def line
      # Without its cloud a runtime has nothing to do.
      (@socket.gets("\r\n") || exit!(1)).chomp("\r\n")
    end
  end

  # Where log records go: frames on the log descriptor.
  class Log
    def initialize(fd)
      @io = IO.for_fd(fd, 'wb')
      @io.sync = true
      @mutex = Mutex.new
    end

    def write(text)
      bytes = text.to_s.b
      time = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
      @mutex.synchronize { @io.write([0xa55a0003, bytes.bytesize, time].pack('NNQ>') << bytes) }
    rescue ThreadError # in a signal's handler, while the log was being written
      @io.write([0xa55a0003, bytes.bytesize, time].pack('NNQ>') << bytes)
    end
  end

  # For $stdout and $stderr: what ends in a new line is one log record, as puts and Logger write it, so that both stay in one
  # order. The beginning of a line goes to the descriptor, where the cloud waits for the rest of it.
  module Records
    def self.under(io, log)
      io.sync = true
      io.instance_variable_set(:@log, log)
      io.extend(self)
    end

    def write(*parts)
      text = parts.join
      if @begun || !text.end_with?("\n")
        @begun = !text.end_with?("\n") unless text.empty?
        return super(text)
      end
      @log.write(text)
      text.bytesize
    end
  end

  # What warn writes: Ruby would pass by the write above.
  module Warnings
    def warn(message, **)
      $stderr.write(message)
    end
  end

  # How Logger writes to stdout and stderr: with the request's id.
  class Formatter < ::Logger::Formatter
    def call(severity, time, progname, message)
      format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], format_datetime(time), Process.pid, severity, Lambent.request_id, progname, msg2str(message))
    end
  end

  # Puts Formatter into every Logger on stdout or stderr that has none of its own.
  module Loggers
    def initialize(device = nil, *args, **options)
      super
      self.formatter ||= Formatter.new if [$stdout, $stderr, STDOUT, STDERR].include?(device)
    end
  end

  # An error in the shape that callers get.
  class Failure
    STANDARD = ObjectSpace.each_object(Class).select { |c| c <= Exception }.map(&:to_s).freeze # and none of the function's own

    def initialize(error, phase)
      @class = error.class.to_s
      @phase = phase
      @shape = {
        errorMessage: error.message.to_s.scrub, errorType: "#{phase}<#{@class}>",
        stackTrace: (error.backtrace || []).take_while { |l| !l.start_with?('/var/runtime/') }.first(100)
      }
    end

    # type is what the platform is told: a class that is Ruby's own, or that it is none.
    def type
      STANDARD.include?(@class) || @class.start_with?('Errno::') ? "#{@phase}<#{@class}>" : "#{@phase}<UserDefinedError>"
    end

    def json
      JSON.generate(@shape)
    end

    def log(what)
      $stdout.write("#{what}\n")
      $stdout.write("#{JSON.pretty_generate(@shape)}\n")
    end
  end

  # What a handler gets beside the event.
  class Context
    attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name, :memory_limit_in_mb,
                :function_version, :identity, :client_context, :deadline_ms, :tenant_id

    def initialize(headers)
      @aws_request_id = headers['lambda-runtime-aws-request-id']
      @invoked_function_arn = headers['lambda-runtime-invoked-function-arn']
      @deadline_ms = headers['lambda-runtime-deadline-ms'].to_i
      @tenant_id = headers['lambda-runtime-aws-tenant-id']
      @identity = parse(headers['lambda-runtime-cognito-identity'])
      @client_context = parse(headers['lambda-runtime-client-context'])
      @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
      @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
      @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
      @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
      @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
    end

    def get_remaining_time_in_millis
      [@deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond), 0].max
    end

    private

    def parse(text)
      JSON.parse(text) if text && !text.empty?
    end
  end

  # The function's own code: FILE.METHOD or FILE.CLASS.METHOD.
  class Handler
    def initialize(name)
      @file, *rest = name.split('.')
      @namespace, @method = rest.length == 2 ? rest : [nil, rest[0]]
      return if @file && @method && rest.length < 3

      raise ArgumentError, "Invalid handler #{name.split('.')}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD " \
        'where FILENAME corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace ' \
        'and METHOD is a callable method. If using CLASS, METHOD must be a class-level method.'
    end

    def load
      require @file
    end

    # call returns the answer's content type and bytes.
    def call(event, context)
      receiver = @namespace ? Kernel.const_get(@namespace) : Kernel
      result = receiver.send(@method, event: event, context: context)
      return ['application/unknown', result.read] if result.is_a?(StringIO) || result.is_a?(IO)

      ['application/json', result.to_json]
    end
  end

  # The trace of the invocation under way is seen in ENV, but is not in the environment of the process: the C library keeps
  # every value that a variable ever had, so that a function called often would run out of memory.
  module Trace
    NAME = '_X_AMZN_TRACE_ID'.freeze

    attr_accessor :trace

    def [](name)
      super || (name == NAME ? trace : nil)
    end

    def fetch(name, *default)
      name == NAME && trace ? self[name] : super
    end

    def key?(name)
      super || (name == NAME && !trace.nil?)
    end

    def to_h(&block)
      all = super(&nil)
      all = { NAME => trace }.merge(all) if trace
      block ? all.to_h(&block) : all
    end
  end

  class << self
    attr_reader :request_id

    def run
      connection = Connection.new(ENV['AWS_LAMBDA_RUNTIME_API'])
      become(connection) if ENV['LAMBENT_STEM']
      enter
      handler = start(connection)
      ask = connection.frame('GET', "#{API}invocation/next")
      connection.send(ask)
      loop do
        status, headers, body = connection.receive
        exit!(1) unless status == 200
        # One write for the response and the question for more: two round trips cost one.
        connection.send(invoke(connection, handler, headers, body) << ask)
        connection.receive
      end
    end

    private

    # become waits, as a stem cell, for the function to be.
    def become(connection)
      %w[net/http openssl securerandom set time uri].each { |name| require name } # there is time for it now
      connection.send(connection.frame('GET', '/lambent/stem/next'))
      status, _, body = connection.receive
      exit!(1) unless status == 200
      ENV.replace(JSON.parse(body)['env'])
    end

    # enter makes the process look as if it had been started as the function.
    def enter
      fd = ENV.delete('_LAMBDA_TELEMETRY_LOG_FD')
      log = Log.new(fd.to_i) if fd
      [$stdout, $stderr].each { |io| Records.under(io, log) } if log
      ENV.singleton_class.prepend(Trace)
      ::Logger.prepend(Loggers)
      Warning.singleton_class.prepend(Warnings)
      Dir.chdir(ENV['LAMBDA_TASK_ROOT'])
      [ENV['LAMBDA_TASK_ROOT'], '/opt/ruby/lib'].each { |dir| $LOAD_PATH << dir unless $LOAD_PATH.include?(dir) }
      $PROGRAM_NAME = 'bootstrap'
    end

    def start(connection)
      handler = Handler.new(ENV['_HANDLER'])
      handler.load
      handler
    rescue Exception => e # LoadError and SyntaxError are no StandardErrors
      raise if e.is_a?(SystemExit)

      failure = Failure.new(e, 'Init')
      failure.log("Init error when loading handler #{ENV['_HANDLER']}")
      connection.send(post_error(connection, 'init/error', failure))
      connection.receive
      exit!(1)
    end

    # invoke runs the handler and returns the request that answers.
    def invoke(connection, handler, headers, body)
      @request_id = headers['lambda-runtime-aws-request-id']
      ENV.trace = headers['lambda-runtime-trace-id']
      type, answer = handler.call(body.empty? ? {} : JSON.parse(body), Context.new(headers))
      connection.frame('POST', "#{API}invocation/#{@request_id}/response", answer, "Content-Type: #{type}\r\n")
    rescue NameError, StandardError, ScriptError, NoMemoryError, SystemStackError => e
      failure = Failure.new(e, 'Function')
      critical = e.is_a?(NameError) || !e.is_a?(StandardError)
      failure.log(critical ? 'Critical exception from handler' : 'Error raised from handler method')
      request = post_error(connection, "invocation/#{@request_id}/error", failure)
      return request unless critical

      connection.send(request) # and a new process for the next one, as on AWS
      connection.receive
      exit!(1)
    end

    def post_error(connection, target, failure)
      connection.frame('POST', API + target, failure.json, "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: #{failure.type}\r\n")
    end
  end
end

Lambent.run
