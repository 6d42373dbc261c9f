# Answers each line, a JSON string with a YAML schedule, with the arguments of the entry `j` as Resque would write
# them: false if Ruby cannot load or write them, null if the text is not YAML.
require 'json'
require 'yaml'

STDIN.each_line do |line|
  answer = begin
    args = YAML.load(JSON.parse(line), aliases: true)['j']['args']
    args = args.nil? ? [] : [args] unless args.is_a?(Array)
    JSON.generate(args)
  rescue Psych::SyntaxError
    nil
  rescue StandardError, Psych::Exception
    false
  end
  puts JSON.generate(answer)
end
