using KvmSwitch.Daemon;

return await DaemonCommand.Create().Parse(args).InvokeAsync();
