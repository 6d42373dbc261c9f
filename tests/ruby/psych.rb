# Answers each line, a JSON string with a schedule in YAML, with the arguments of its entry `j` as
# Resque would write them; with false if Ruby can't load or write them, with null if it is no YAML.
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
