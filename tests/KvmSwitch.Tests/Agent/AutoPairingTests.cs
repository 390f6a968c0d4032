using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Linux;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>A guest that is not paired, and what lies ready for it.</summary>
public sealed class AutoPairingTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly TestCa ca = new();
    private readonly TemporaryDirectory state = new();
    private readonly FakeTimeProvider time = new();
    private readonly DeviceFeed devices = new();
    private readonly Lines journal = new();
    private readonly Offers offers = new();
    private readonly CancellationTokenSource stop = new();
    private Task running = Task.CompletedTask;
    private TestHost host = null!;

    private IdentityStore Store => new(state.Path);

    private Enroller Enroller => new(new RsaKeyMaker(), Store);

    public async ValueTask InitializeAsync() => host = await TestHost.StartAsync(ca);

    [Fact]
    public async Task A_disc_that_is_there_pairs_it()
    {
        offers.Put("/media/disc/kvmswitch.join", host.Code());
        Start();
        await journal.ExpectAsync("Paired with /media/disc/kvmswitch.join: this guest is machine win.");
        Assert.Equal("win", Store.Load()?.Machine);
        Assert.Equal(1, offers.Spent);
    }

    [Fact]
    public async Task A_disc_that_comes_later_pairs_it_at_the_hint()
    {
        Start();
        await offers.LookedAsync(1);
        offers.Put("D:", host.Code());
        offers.Hint();
        await journal.ExpectAsync("Paired with D:");
    }

    [Fact]
    public async Task The_arrival_of_a_device_is_such_a_hint_and_its_drive_may_take_a_moment()
    {
        Start();
        await offers.LookedAsync(2);
        devices.Publish(new([new("1-1", 0x46f4, 1, "", "0000:00:03.0", "1", Ready: true, "CD", 1)]));
        await offers.LookedAsync(3);
        offers.Put("D:", host.Code());
        await PassTimeAsync(journal.ExpectAsync("Paired with D:"));
        Assert.Equal(4, offers.Looks);
    }

    [Fact]
    public async Task A_refused_code_is_said_and_not_presented_again_but_the_next_disc_is_tried()
    {
        host.Service.Refuses = true;
        offers.Put("D:", host.Code());
        Start();
        await journal.ExpectAsync("D: is of no use. The host refused the pairing code: it is wrong, used or expired.");
        host.Service.Refuses = false;
        var looks = offers.Looks;
        offers.Hint();
        await offers.LookedAsync(looks + 1);
        Assert.Null(host.Service.Enrolled);

        offers.Put("E:", host.Code(host.Address, "127.0.0.1:1"), otherToken: true);
        offers.Hint();
        await journal.ExpectAsync("E: is of no use.");
        Assert.Null(Store.Load());
    }

    [Fact]
    public async Task A_host_that_can_not_be_reached_yet_is_tried_again()
    {
        offers.Put("D:", host.Code("127.0.0.1:1"));
        Start();
        await journal.ExpectAsync("D: names a host that can't be paired with yet. The host can't be reached: ");
        offers.Put("D:", host.Code("127.0.0.1:1", host.Address));
        await PassTimeAsync(journal.ExpectAsync("Paired with D:"));
    }

    [Fact]
    public async Task A_disc_that_is_pulled_out_before_its_host_answers_is_forgotten_and_the_next_one_pairs()
    {
        offers.Put("D:", host.Code("127.0.0.1:1"));
        Start();
        await journal.ExpectAsync("D: names a host that can't be paired with yet.");
        offers.All = [];
        var looks = offers.Looks;
        await PassTimeAsync(offers.LookedAsync(looks + 3));
        Assert.Null(Store.Load());

        offers.Put("E:", host.Code());
        offers.Hint();
        await journal.ExpectAsync("Paired with E:");
    }

    [Fact]
    public async Task A_disc_that_is_pulled_out_while_it_is_read_is_said_once_and_the_next_drive_pairs()
    {
        offers.All = [new("D:", Code: null, "D: can't be read.")];
        Start();
        await journal.ExpectAsync("D: can't be read.");
        var looks = offers.Looks;
        await PassTimeAsync(offers.LookedAsync(looks + 2));

        offers.All = [.. offers.All, new("E:", JoinCode.Parse(host.Code()), Problem: null)];
        offers.Hint();
        await journal.ExpectAsync("Paired with E:");
        Assert.Single(journal.All, line => line.StartsWith("D:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Garbage_is_said_once()
    {
        offers.All = [new("D:", Code: null, "D: holds no pairing code.")];
        Start();
        await journal.ExpectAsync("D: holds no pairing code.");
        var looks = offers.Looks;
        offers.Hint();
        await offers.LookedAsync(looks + 1);
        Assert.Single(journal.All);
    }

    [Fact]
    public async Task A_guest_that_is_paired_looks_nowhere_until_it_is_no_longer()
    {
        await Enroller.JoinAsync(JoinCode.Parse(host.Code()), "guest", CancellationToken.None);
        offers.Put("D:", host.Code());
        Start();
        await offers.LookedAsync(1);
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, offers.Looks);

        // A try may come while the directory is being deleted, and fail: then there is another.
        Assert.True(Store.Remove());
        await PassTimeAsync(journal.ExpectAsync("Paired with D:"));
    }

    [Fact]
    public async Task What_an_installer_was_told_replaces_an_old_pairing()
    {
        var old = await Enroller.JoinAsync(JoinCode.Parse(host.Code()), "guest", CancellationToken.None);
        offers.Put("The installer", host.Code(host.Address, "127.0.0.1:1"));
        offers.All = [offers.All[0] with { Replaces = true }];
        Start();
        await journal.ExpectAsync("Paired with The installer");
        Assert.NotEqual(old.Addresses.Count, Store.Load()?.Addresses.Count);
    }

    [Fact]
    public async Task Joining_by_hand_without_a_code_takes_what_lies_ready()
    {
        offers.All = [new("C:", Code: null, "C: holds no pairing code."), new("D:", JoinCode.Parse(host.Code()), Problem: null)];
        Assert.Equal("win", (await JoinCommand.JoinOfferedAsync(Enroller, offers, CancellationToken.None)).Machine);
    }

    [Fact]
    public async Task Joining_by_hand_where_nothing_lies_ready_says_where_was_looked_and_what_to_do()
    {
        var nothing = await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinCommand.JoinOfferedAsync(Enroller, offers, CancellationToken.None));
        Assert.Equal(
            "No file kvmswitch.join was found; looked at drives of the test. Show this guest a disc with 'kvmswitch guest tools' on the host, or give the code that 'kvmswitch guest pair' prints there.",
            nothing.Message);

        offers.All = [new("C:", Code: null, "C: holds no pairing code.")];
        var garbage = await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinCommand.JoinOfferedAsync(Enroller, offers, CancellationToken.None));
        Assert.Equal("C: holds no pairing code.", garbage.Message);
    }

    [Fact]
    public async Task Forgetting_removes_all_of_the_pairing()
    {
        await Enroller.JoinAsync(JoinCode.Parse(host.Code()), "guest", CancellationToken.None);
        Assert.True(Store.Remove());
        Assert.False(Directory.Exists(state.Path));
        Assert.False(Store.Remove());
        Directory.CreateDirectory(state.Path);
    }

    [Fact]
    public async Task The_wait_for_drives_ends_when_it_is_given_up()
    {
        using var drives = new MountedDrives();
        using var given = new CancellationTokenSource();
        var waiting = drives.NextChangeAsync(given.Token);
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
        await host.DisposeAsync();
        stop.Dispose();
        state.Dispose();
        ca.Dispose();
    }

    private void Start() => running = new AutoPairing(Enroller, Store, offers, devices, journal, time).RunAsync(stop.Token);

    private async Task PassTimeAsync(Task until)
    {
        for (var i = 0; i < 200 && !until.IsCompleted; i++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(until, Task.Delay(20, CancellationToken.None));
        }

        await until;
    }

    private sealed class Offers : IJoinOffers
    {
        private readonly Lock gate = new();
        private TaskCompletionSource hint = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int looks;
        private int spent;

        public string Places => "drives of the test";

        public IReadOnlyList<JoinOffer> All { get; set; } = [];

        public int Looks => Volatile.Read(ref looks);

        public int Spent => Volatile.Read(ref spent);

        public void Put(string where, string text, bool otherToken = false)
        {
            var code = JoinCode.Parse(text);
            if (otherToken)
                code = code with { Token = new byte[16] };
            All = [new(where, code, Problem: null) { Spent = () => Interlocked.Increment(ref spent) }];
        }

        public void Hint()
        {
            lock (gate)
            {
                hint.SetResult();
                hint = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        public IReadOnlyList<JoinOffer> Look()
        {
            lock (gate)
            {
                looks++;
                looked.SetResult();
                looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
                return All;
            }
        }

        public Task NextChangeAsync(CancellationToken cancellationToken)
        {
            lock (gate)
                return hint.Task.WaitAsync(cancellationToken);
        }

        public async Task LookedAsync(int times)
        {
            while (true)
            {
                Task next;
                lock (gate)
                {
                    if (looks >= times)
                        return;
                    next = looked.Task;
                }

                await next.WaitAsync(Patience);
            }
        }
    }
}
