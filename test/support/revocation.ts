/** What the tests of revocation share: clients of one CA, the moment they are decided at, and what an operator gets to hear. */
import { afterEach, beforeEach, jest } from '@jest/globals'
import { type Authenticator, createAuthenticator } from '../../src/core/authenticator.js'
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
  options: Partial<AuthenticatorOptions> & { trust: AuthenticatorOptions['trust']; revocation: RevocationChecker },
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

/** Resolves when it is true; fails by the test's own deadline where it never is. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5))
}
