using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux;

/// <summary>posix_spawn(3) with everything that a program needs to be free of us. Needs glibc 2.34 for closefrom.</summary>
internal static unsafe class Spawn
{
    private const uint OutputMode = 0x1A0; // 0640

    /// <returns>The pid. The caller is the parent and has to reap it.</returns>
    /// <exception cref="IOException">The program can't be executed or the output file can't be opened.</exception>
    public static int Start(ImmutableArray<string> command, ImmutableSortedDictionary<string, string> environment, string outputPath)
    {
        var actions = stackalloc byte[Libc.SpawnObjectSize];
        var attributes = stackalloc byte[Libc.SpawnObjectSize];
        Check(Libc.SpawnActionsInit(actions));
        Check(Libc.SpawnAttributesInit(attributes));
        try
        {
            AddActions(actions, outputPath);
            AddAttributes(attributes);
            using var argv = new StringVector(command);
            using var envp = new StringVector(environment.Select(pair => $"{pair.Key}={pair.Value}"));
            var error = Libc.Spawn(out var pid, command[0], actions, attributes, argv.Pointer, envp.Pointer);
            return error == 0 ? pid : throw Libc.Error($"{command[0]} with its output in {outputPath}", error);
        }
        finally
        {
            _ = Libc.SpawnActionsDestroy(actions);
            _ = Libc.SpawnAttributesDestroy(attributes);
        }
    }

    private static void AddActions(byte* actions, string outputPath)
    {
        Check(Libc.SpawnActionsOpen(actions, 0, "/dev/null", Libc.O_RDONLY, 0));
        Check(Libc.SpawnActionsOpen(actions, 1, outputPath, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND, OutputMode));
        Check(Libc.SpawnActionsDuplicate(actions, 1, 2));
        Check(Libc.SpawnActionsCloseFrom(actions, 3));
        Check(Libc.SpawnActionsChangeDirectory(actions, "/"));
    }

    // .NET ignores SIGPIPE and blocks others on its threads; a child would inherit that.
    private static void AddAttributes(byte* attributes)
    {
        var signals = stackalloc byte[Libc.SignalSetSize];
        Check(Libc.SignalSetEmpty(signals));
        Check(Libc.SpawnAttributesSetMask(attributes, signals));
        Check(Libc.SignalSetFill(signals));
        Check(Libc.SpawnAttributesSetDefaults(attributes, signals));
        Check(Libc.SpawnAttributesSetFlags(
            attributes, Libc.POSIX_SPAWN_SETSID | Libc.POSIX_SPAWN_SETSIGDEF | Libc.POSIX_SPAWN_SETSIGMASK));
    }

    private static void Check(int error)
    {
        if (error != 0) throw Libc.Error("a process can't be prepared", error);
    }

    /// <summary>A null-terminated array of C strings.</summary>
    private sealed class StringVector : IDisposable
    {
        private readonly int _count;

        public StringVector(IEnumerable<string> strings)
        {
            var pointers = strings.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
            _count = pointers.Length;
            Pointer = (byte**)NativeMemory.AllocZeroed((nuint)_count + 1, (nuint)sizeof(byte*));
            for (var i = 0; i < _count; i++) Pointer[i] = (byte*)pointers[i];
        }

        public byte** Pointer { get; }

        public void Dispose()
        {
            for (var i = 0; i < _count; i++) Marshal.FreeCoTaskMem((nint)Pointer[i]);
            NativeMemory.Free(Pointer);
        }
    }
}
