/** What the tests of revocation share: clients of one CA, the moment they are decided at, and what an operator gets to hear. */
import { afterEach, beforeEach, jest } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { Authenticator } from '../../src/core/contract.js'
import type { Decision } from '../../src/core/decision.js'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import type { RevocationChecker } from '../../src/revocation/checker.js'
import { type RevocationEvent, revocationChannel } from '../../src/revocation/events.js'
import type { TestCredential, TestExtension } from '../../src/testing.js'
import { extension, ia5, noon, seq, tlv } from './pki.js'

const open = new Set<{ close?(): unknown }>()
afterEach(async () => {
  for (const each of open) await each.close?.()
  open.clear()
})

/** Closed after this test, whatever comes of it. */
export function closing<T extends { close?(): unknown }>(made: T): T {
  open.add(made)
  return made
}

export interface Deciding {
  readonly auth: Authenticator
  /** Milliseconds since 1970; change it to let time pass. */
  readonly clock: { now: number }
  decide(client: Pick<TestCredential, 'certificate' | 'chain'>): Promise<Decision>
  /** `'accepted'`, or the code without what all codes begin with. */
  verdict(client: Pick<TestCredential, 'certificate' | 'chain'>): Promise<string>
  /** The operator's sentence for a refusal. */
  help(client: Pick<TestCredential, 'certificate' | 'chain'>): Promise<string>
}

/** An authenticator at noon. */
export function deciding(
  options: Partial<AuthenticatorOptions> & {
    trust: AuthenticatorOptions['trust']
    revocation: RevocationChecker | 'none'
  },
  clock = { now: noon.getTime() },
): Deciding {
  const auth = closing(createAuthenticator({ log: false, watch: false, now: () => clock.now, ...options }))
  const decide: Deciding['decide'] = ({ certificate, chain }) =>
    auth.authenticateChain({ certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' })
  return {
    auth,
    clock,
    decide,
    verdict: async (client) => verdictOf(await decide(client)),
    help: async (client) => {
      const decision = await decide(client)
      return decision.outcome === 'accepted' ? 'accepted' : decision.error.help
    },
  }
}

export const verdictOf = (decision: Decision): string =>
  decision.outcome === 'accepted' ? 'accepted' : decision.error.code.replace('ERR_CLIENT_CERT_', '')

/** `CODE: message` of every warning of this test. */
export function heardWarnings(): string[] {
  const heard: string[] = []
  beforeEach(() => {
    heard.length = 0
    jest.spyOn(process, 'emitWarning').mockImplementation(((message: string, { code }: { code: string }) => {
      heard.push(`${code}: ${message}`)
    }) as never)
  })
  afterEach(() => {
    jest.restoreAllMocks()
  })
  return heard
}

/** Every event of this test that was published. */
export function heardEvents(): RevocationEvent[] {
  const heard: RevocationEvent[] = []
  const listen = (event: unknown) => {
    heard.push(event as RevocationEvent)
  }
  beforeEach(() => {
    heard.length = 0
    revocationChannel.subscribe(listen)
  })
  afterEach(() => {
    revocationChannel.unsubscribe(listen)
  })
  return heard
}

const points = (urls: readonly string[]) => seq(...urls.map((url) => seq(tlv(0xa0, tlv(0xa0, ia5(0x86, url))))))

/** RFC 5280 §4.2.1.13: one distribution point for each address. */
export const crlAt = (...urls: readonly string[]): TestExtension => ({ oid: '2.5.29.31', value: points(urls) })

/** RFC 5280 §4.2.1.15. */
export const freshestAt = (...urls: readonly string[]): TestExtension => ({ oid: '2.5.29.46', value: points(urls) })

/** RFC 9608. */
export const noRevAvail: TestExtension = { oid: '2.5.29.56', value: Uint8Array.of(5, 0) }

/** Certificates as tests hand them on, with one extension more. */
export { extension }

/** As it was before any test put another in its place. */
const realTimeout = setTimeout

/** Resolves when it is true; rejects where it is not within four seconds. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const last = performance.now() + 4_000
  while (!(await isTrue())) {
    if (performance.now() > last) throw new Error(`it never was: ${isTrue}`)
    await aMoment(2)
  }
}

/** Lets whatever is under way on loopback come to its end. */
export const aMoment = (milliseconds = 50): Promise<void> =>
  new Promise((resolve) => {
    realTimeout(resolve, milliseconds)
  })

/**
 * Holds every timer of a second or more, and lets their time pass at once, along with that of a clock; what is shorter, and sockets, go on as they do.
 * Until the end of the test.
 */
export function heldTimers() {
  interface Held {
    readonly at: number
    readonly call: () => void
  }
  const held = new Map<object, Held>()
  let passed = 0
  const hold = (call: () => void, milliseconds = 0) => {
    if (milliseconds < 1_000) return realTimeout(call, milliseconds)
    const timer = { unref: () => timer }
    held.set(timer, { at: passed + milliseconds, call })
    return timer
  }
  const realClear = clearTimeout
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(hold as never)
  jest.spyOn(globalThis, 'clearTimeout').mockImplementation(((timer: never) => {
    if (!held.delete(timer)) realClear(timer)
  }) as never)
  return {
    get count() {
      return held.size
    },
    /** Fires what is due, in order, and lets each come to its end. */
    pass: async (milliseconds: number, clock: { now: number } = { now: 0 }) => {
      const end = passed + milliseconds
      const go = (to: number) => {
        clock.now += to - passed
        passed = to
      }
      for (;;) {
        const due = [...held].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
        if (due === undefined) break
        const [timer, { at, call }] = due
        held.delete(timer)
        go(Math.max(at, passed))
        call()
        await aMoment(25)
      }
      go(end)
    },
  }
}
