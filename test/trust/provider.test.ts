/** TrustStore.from(): trust that a secret manager holds. The network fails here in every way it likes. */
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { RevocationChecker } from '../../src/revocation/checker.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { resolveTrust } from '../../src/trust/trust-option.js'
import { type ReloadResult, type TrustContent, TrustStore } from '../../src/trust/trust-store.js'
import { noon, thrownBy } from '../support/pki.js'

let old: TestPki
let young: TestPki
let alice: TestCredential
beforeAll(async () => {
  old = await createTestPki({ name: 'Old', now: noon })
  young = await createTestPki({ name: 'New', now: noon })
  alice = await old.issue()
})

let warnings: string[] = []
beforeEach(() => {
  warnings = []
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
  jest.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    warnings.push(`${(options as { code: string }).code} ${message}`)
  })
  jest.spyOn(Math, 'random').mockReturnValue(0.5)
})
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
  expect(jest.getTimerCount()).toBe(0)
  jest.useRealTimers()
  jest.restoreAllMocks()
})

type Answer = TrustContent | Error | Promise<TrustContent>

/** A provider that gives these answers in turn, the last one for ever. */
function provider(...answers: Answer[]) {
  const signals: AbortSignal[] = []
  const load = async ({ signal }: { signal: AbortSignal }): Promise<TrustContent> => {
    const answer = answers[Math.min(signals.length, answers.length - 1)] as Answer
    signals.push(signal)
    if (answer instanceof Error) throw answer
    return answer
  }
  return { load, signals }
}

function storeOf(load: Parameters<typeof TrustStore.from>[0], options: Parameters<typeof TrustStore.from>[1] = {}) {
  const store = TrustStore.from(load, { refresh: 60_000, label: 'vault', ...options })
  open.push(store)
  const heard: ReloadResult[] = []
  store.onReload((result) => heard.push(result))
  return { store, heard }
}

function asking(trust: TrustStore) {
  const auth = createAuthenticator({ trust, revocation: 'none', log: false, now: () => noon.getTime() })
  open.push(auth)
  const intermediates = alice.chain.map(({ der }) => der)
  const ask = async () => {
    const decision = await auth.authenticateChain({ certificate: alice.certificate.der, intermediates, via: 'tls' })
    return decision.outcome === 'accepted' ? 'accepted' : `${decision.error.status} ${decision.error.code}`
  }
  return { auth, ask }
}

const notReady = '503 ERR_CLIENT_CERT_NOT_READY'
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds)

test('until the first load everybody gets 503; ready() of the authenticator waits for it', async () => {
  let give: (content: string) => void = () => {}
  const content = new Promise<string>((resolve) => {
    give = resolve
  })
  const { store } = storeOf(provider(content).load)
  const { auth, ask } = asking(store)
  let isReady = false
  const ready = auth.ready().then(() => {
    isReady = true
  })
  await pass(10)
  expect([await ask(), isReady]).toEqual([notReady, false])
  give(old.trust)
  await ready
  expect(await ask()).toBe('accepted')
})

test('the refusal before the first load says what is missing', async () => {
  const { store } = storeOf(provider(new Error('connect ECONNREFUSED\n')).load)
  const lines: string[] = []
  const auth = createAuthenticator({ trust: store, revocation: 'none', log: (line) => lines.push(line) })
  await pass(0)
  await auth.authenticateChain({ certificate: alice.certificate.der, intermediates: [], via: 'tls' })
  expect(lines).toEqual([
    'mtls-identity ERR_CLIENT_CERT_NOT_READY: vault is not loaded yet: "connect ECONNREFUSED\\n" — wait for authenticator.ready() before listening',
  ])
})

describe('a load that fails', () => {
  test('is tried again after 1, 2, 4 seconds, and not more rarely than refresh says', async () => {
    const { load, signals } = provider(new Error('no'))
    storeOf(load, { refresh: 5_000 })
    const counts: number[] = []
    for (const wait of [0, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      await pass(wait)
      counts.push(signals.length)
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('makes ready() reject with the reason after three times, and again at once from then on; a later success mends it', async () => {
    const { load } = provider(new Error('one'), new Error('two'), new Error('three'), old.trust)
    const { store } = storeOf(load)
    const ready = store.ready().catch((error: Error) => error.message)
    await pass(3_000)
    expect(await ready).toBe('three')
    await expect(store.ready()).rejects.toThrow('three')
    await pass(4_000)
    await store.ready()
  })

  test('keeps what was, is said once, and is followed by the next good one', async () => {
    const { load } = provider(old.trust, new Error('503'), new Error('503'), young.trust)
    const { store, heard } = storeOf(load)
    const { ask } = asking(store)
    await store.ready()
    await pass(60_000)
    expect(await ask()).toBe('accepted')
    await pass(1_000)
    expect(warnings).toEqual(['MTLS_RELOAD_FAILED vault: "503" (the former certificates hold)'])
    await pass(2_000)
    expect(heard.map(({ ok }) => ok)).toEqual([true, false, true])
    expect(await ask()).toBe('403 ERR_CLIENT_CERT_UNKNOWN_ISSUER')
  })

  test.each<[string, () => TrustContent | undefined, RegExp]>([
    ['nothing', () => undefined, /holds no certificate/],
    ['an empty list', () => [], /holds no certificate/],
    ['an empty text', () => '', /is empty/],
    ['an error page', () => '<html>\n503</html>', /text outside of a block/],
    ['one good block and half a one', () => old.trust + young.trust.slice(0, 200), /cut off/],
    ['a client certificate', () => alice.certificate.pem, /not a CA certificate/],
    ['a private key', () => old.root.key.pem, /private key/],
  ])('because it is %s changes nothing', async (_, answer, said) => {
    let content: TrustContent | undefined = old.trust
    const { store } = storeOf(async () => content as TrustContent)
    await store.ready()
    const before = store.current()
    content = answer()
    const result = await store.refresh()
    expect(result.ok === false && result.error.message).toMatch(said)
    expect(store.current()).toBe(before)
  })
})

test('certificates that were not renewed for maxStaleness are believed no longer, until they are', async () => {
  const { load } = provider(old.trust, ...Array.from({ length: 8 }, () => new Error('down')), old.trust)
  const { store } = storeOf(load, { refresh: 10_000, maxStaleness: 30_000 })
  const { ask } = asking(store)
  await store.ready()
  await pass(29_999)
  expect(await ask()).toBe('accepted')
  await pass(1)
  expect(await ask()).toBe(notReady)
  expect(warnings.map((line) => line.split(' ')[0])).toEqual(['MTLS_RELOAD_FAILED', 'MTLS_TRUST_STALE'])
  await pass(60_000)
  expect(await ask()).toBe('accepted')
})

test('an answer that never comes is given up, and its signal aborted', async () => {
  const { load, signals } = provider(new Promise<TrustContent>(() => {}), old.trust)
  const { store } = storeOf(load, { timeout: 500 })
  const ready = store.ready()
  await pass(500)
  expect(signals[0]?.aborted).toBe(true)
  expect(warnings[0]).toMatch(/TrustStore\.from: vault: no answer within 500 ms/)
  await pass(1_000)
  await ready
})

test('the same certificates again leave what was decided as it is', async () => {
  const { store, heard } = storeOf(provider(old.trust, `# renewed\n${old.trust}`).load)
  await store.ready()
  const before = store.current()
  await pass(60_000)
  expect(heard.length).toBe(2)
  expect(store.current()).toBe(before)
})

test('refresh() asks once, however many wait for it', async () => {
  const { load, signals } = provider(old.trust)
  const { store } = storeOf(load)
  await store.ready()
  const results = await Promise.all([store.refresh(), store.refresh(), store.refresh()])
  expect(results.map(({ ok }) => ok)).toEqual([true, true, true])
  expect(signals.length).toBe(2)
})

test('refresh() asks again where a load under way has asked before it: what was taken out meanwhile is out', async () => {
  const answers: ((content: string) => void)[] = []
  const tick = () => new Promise((resolve) => setImmediate(resolve))
  const { store } = storeOf(() => new Promise<string>((resolve) => answers.push(resolve)))
  await tick()
  answers[0]?.(old.trust)
  await store.ready()
  const first = store.refresh()
  await tick()
  expect(answers.length).toBe(2)
  const [second, third] = [store.refresh(), store.refresh()]
  answers[1]?.(old.trust + young.trust)
  expect(await first).toMatchObject({ ok: true, anchorCount: 2 })
  await tick()
  expect(answers.length).toBe(3)
  answers[2]?.(young.trust)
  expect(await Promise.all([second, third])).toMatchObject([{ anchorCount: 1 }, { anchorCount: 1 }])
  expect(store.current().anchors.length).toBe(1)
  expect(answers.length).toBe(3)
})

test('DER, PEM and lists of both are understood', async () => {
  for (const content of [old.root.certificate.der, [old.root.certificate.der, young.trust], old.trust + young.trust]) {
    const { store } = storeOf(async () => content)
    await store.ready()
    expect(store.current().anchors.length).toBe(content === old.root.certificate.der ? 1 : 2)
  }
})

test('beside files and named sets it is one store: not ready until it has answered, then whole', async () => {
  const { store } = storeOf(provider(old.trust).load)
  const outer = resolveTrust('trust', { cloud: store, local: young.trust }, false)
  open.push(outer)
  const alone = resolveTrust('trust', [store], false)
  open.push(alone)
  expect([outer.unusable, alone.unusable]).toEqual(['vault is not loaded yet', 'vault is not loaded yet'])
  await Promise.all([outer.ready(), alone.ready()])
  expect(outer.unusable).toBeUndefined()
  expect(
    outer
      .current()
      .anchors.map(({ name }) => name)
      .sort(),
  ).toEqual(['cloud', 'local'])
  expect(alone.current().anchors.length).toBe(1)
})

test('after close() nobody is asked any more, and who waits hears so', async () => {
  const { load, signals } = provider(new Promise<TrustContent>(() => {}))
  const { store } = storeOf(load)
  const ready = store.ready()
  await pass(0)
  store.close()
  await expect(ready).rejects.toThrow('was closed')
  await pass(600_000)
  expect(signals.length).toBe(1)
  expect(signals[0]?.aborted).toBe(true)
})

test('the longest interval there is does not become the shortest: Node’s timers overflow', async () => {
  jest.spyOn(Math, 'random').mockReturnValue(0.999)
  const { load, signals } = provider(old.trust)
  const { store } = storeOf(load, { refresh: 2_147_483_647, maxStaleness: Number.POSITIVE_INFINITY })
  await store.ready()
  await pass(60_000)
  expect(signals.length).toBe(1)
})

test('what cannot be meant is refused', () => {
  const load = async () => old.trust
  expect(thrownBy(() => TrustStore.from('https://vault' as never))).toMatch(/is a function/)
  expect(thrownBy(() => TrustStore.from(load, { refresh: 10 }))).toMatch(/refresh: is 10, expected milliseconds/)
  expect(thrownBy(() => TrustStore.from(load, { refresh: 86_400_000 }))).toMatch(
    /maxStaleness \(86400000\) must be longer/,
  )
  expect(thrownBy(() => TrustStore.from(load, { timeout: 0 }))).toMatch(/timeout: is 0/)
  expect(thrownBy(() => TrustStore.from(load, { interval: 5 } as never))).toMatch(/unknown option "interval"/)
  expect(thrownBy(() => TrustStore.from(load, { refresh: 60_000, maxStaleness: 60_000 }))).toMatch(
    /must be longer than refresh/,
  )
})

test('a checker hears which CAs are trusted when the provider has answered, once, and never after close()', async () => {
  const heard: string[][] = []
  const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')
  const revocation: RevocationChecker = {
    name: 'mine',
    check: () => ({ status: 'good' }),
    attach: (issuers) => heard.push(issuers().map(({ der }) => base64(der))),
  }
  const make = (trust: TrustStore | string) => {
    const auth = createAuthenticator({ trust, revocation, log: false, now: () => noon.getTime() })
    open.push(auth)
    return auth
  }
  let answer = (_: string) => {}
  const late = new Promise<string>((resolve) => {
    answer = resolve
  })
  const { store } = storeOf(provider(late).load)
  make(store)
  await make(store).close()
  await jest.advanceTimersByTimeAsync(0)
  expect(heard).toEqual([])
  answer(old.trust)
  await store.ready()
  await store.refresh()
  expect(heard).toEqual([[base64(old.root.certificate.der)]])
  make(young.trust)
  expect(heard.slice(1)).toEqual([[base64(young.root.certificate.der)]])
})
