using KvmSwitch.Agent.Cli;

var parsed = Root.Create().Parse(args);
// A usage error is 2; the verbs handle signals themselves.
return parsed.Errors.Count > 0 ? await UsageAsync() : await parsed.InvokeAsync(new() { ProcessTerminationTimeout = null });

async Task<int> UsageAsync()
{
    await parsed.InvokeAsync();
    return 2;
}
