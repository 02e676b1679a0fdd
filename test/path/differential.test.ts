import { describe, expect, test } from '@jest/globals'
import { type PathProfile, validateCertificationPath } from '../../src/path.js'
import { Certificate } from '../../src/x509/certificate.js'
import type { Extensions } from '../../src/x509/extensions.js'
import type { GeneralName } from '../../src/x509/general-name.js'
import type { DistinguishedName } from '../../src/x509/name.js'
import { oid } from '../../src/x509/oid.js'
import { type Generated, mutatedChain, structuredChain } from '../support/path-chains.js'
import { noon } from '../support/path-forge.js'
import { type Finding, opensslVerify, opensslVersion } from '../support/path-openssl.js'

/**
 * What we accept, OpenSSL has to accept too: the real `openssl verify`, over chains that are wrong in some way and signed correctly. Every
 * acceptance of ours that it refuses needs a row in the table below.
 *
 * MTLS_DIFFERENTIAL=20000 chains, from MTLS_DIFFERENTIAL_SEED on. Without it: 2,000, or as many as fit in ten seconds.
 */
const whole = process.env.MTLS_DIFFERENTIAL
const chains = Number(whole ?? 2_000)
const firstSeed = Number(process.env.MTLS_DIFFERENTIAL_SEED ?? 1)
const milliseconds = whole === undefined ? 10_000 : Number.POSITIVE_INFINITY
const batch = 400

/** Each certificate of an accepted path with the one that issued it, the anchor with itself. */
type Links = readonly (readonly [certificate: Certificate, issuer: Certificate])[]

const isCritical = ({ extensionList }: Certificate, identifier: string) =>
  extensionList.some((extension) => extension.oid === identifier && extension.critical)
const has = (names: readonly GeneralName[] | undefined, type: GeneralName['type']) =>
  (names ?? []).some((each) => each.type === type)
const basesOf = ({ nameConstraints }: Extensions): GeneralName[] =>
  [nameConstraints?.permittedSubtrees ?? [], nameConstraints?.excludedSubtrees ?? []].flat().map(({ base }) => base)
const namesOf = ({ subject, issuer, extensions }: Certificate): DistinguishedName[] => [
  subject,
  issuer,
  ...[...basesOf(extensions), ...(extensions.subjectAltName ?? [])].flatMap((each) =>
    each.type === 'directoryName' ? [each.value] : [],
  ),
]
const isText = (rdns: DistinguishedName['rdns']) => rdns.flat().every(({ value }) => value !== undefined)
const issuers = (links: Links) => links.slice(1).map(([certificate]) => certificate)

/**
 * What OpenSSL refuses and we accept on purpose. A row speaks of one line of OpenSSL's, and only where the path is seen to be of that kind.
 */
const explanations: readonly { line: RegExp; why: string; applies(links: Links): boolean }[] = [
  {
    line: /^unable to get (local )?issuer certificate$/,
    why: 'the key identifiers disagree, which is a hint to us (RFC 4158 §3.5.12) and final to OpenSSL',
    applies: (links) =>
      links.some(([{ extensions }, issuer]) => {
        const [wanted, found] = [
          extensions.authorityKeyIdentifier?.keyIdentifier,
          issuer.extensions.subjectKeyIdentifier,
        ]
        return wanted !== undefined && found !== undefined && Buffer.compare(wanted, found) !== 0
      }),
  },
  {
    line: /^(certificate signature failure|self-signed certificate in certificate chain)$/,
    why: 'several CAs of one name and no key identifier to tell them apart: OpenSSL takes the first, we try all (RFC 4158)',
    applies: (links) =>
      issuers(links)
        .slice(0, -1)
        .some(({ isSelfIssued }) => isSelfIssued) &&
      links.some(([{ extensions }, issuer]) => {
        return (
          extensions.authorityKeyIdentifier?.keyIdentifier === undefined ||
          issuer.extensions.subjectKeyIdentifier === undefined
        )
      }),
  },
  {
    line: /^(permitted|excluded) subtree violation$/,
    why: 'a common name that looks like a domain, which OpenSSL holds to dNSName constraints where there is no dNSName; RFC 5280 does not, nor Go',
    applies: ([leaf, ...above]) =>
      /^[a-z-]+(\.[a-z-]+)*$/i.test(leaf?.[0].subject.get('CN') ?? '') &&
      !has(leaf?.[0].extensions.subjectAltName, 'dNSName') &&
      above.some(([{ extensions }]) => has(basesOf(extensions), 'dNSName')),
  },
  {
    line: /^permitted subtree violation$/,
    why: 'a URI with userinfo, or with ? or # right after its host, which OpenSSL takes for a part of the host; RFC 3986 §3.2 does not',
    applies: ([leaf, ...above]) =>
      (leaf?.[0].extensions.subjectAltName ?? []).some(
        (each) => each.type === 'uniformResourceIdentifier' && /^[^:]+:\/\/[^/]*[?#@]/.test(each.value),
      ) && above.some(([{ extensions }]) => has(basesOf(extensions), 'uniformResourceIdentifier')),
  },
  {
    line: /^permitted subtree violation$/,
    why: 'an SmtpUTF8Mailbox below a domain with a leading dot, where OpenSSL 3.0 finds none; RFC 9598 §6 applies such constraints to it',
    applies: ([leaf, ...above]) =>
      has(leaf?.[0].extensions.subjectAltName, 'smtpUtf8Mailbox') &&
      above.some(([{ extensions }]) =>
        (extensions.nameConstraints?.permittedSubtrees ?? []).some(
          ({ base }) => base.type === 'rfc822Name' && base.value.startsWith('.'),
        ),
      ),
  },
  {
    line: /^(unreadable|unable to get local issuer certificate)$/,
    why: 'an attribute of a name whose value is no character string: the standard says ANY; it is compared by its octets and has no text',
    applies: (links) => links.some(([certificate]) => namesOf(certificate).some(({ rdns }) => !isText(rdns))),
  },
  {
    line: /^unable to get local issuer certificate$/,
    why: 'an ediPartyName that is well-formed and not of its type: that form is kept unread here, and refused where it is constrained',
    applies: (links) =>
      links.some(([{ extensions }]) =>
        has([...basesOf(extensions), ...(extensions.subjectAltName ?? [])], 'ediPartyName'),
      ),
  },
  {
    line: /^Missing Authority Key Identifier$/,
    why: '-x509_strict: a certificate without authorityKeyIdentifier (ours: profile.requireKeyIdentifiers)',
    applies: (links) =>
      links.some(([{ extensions }]) => extensions.authorityKeyIdentifier?.keyIdentifier === undefined),
  },
  {
    line: /^Missing Subject Key Identifier$/,
    why: '-x509_strict: a CA without subjectKeyIdentifier (ours: profile.requireKeyIdentifiers)',
    applies: (links) => issuers(links).some(({ extensions }) => extensions.subjectKeyIdentifier === undefined),
  },
  {
    line: /^Basic Constraints of CA cert not marked critical$/,
    why: '-x509_strict: basicConstraints of a CA is to be critical, which RFC 5280 §4.2.1.9 asks of CAs and §6.1 of nobody',
    applies: (links) => issuers(links).some((certificate) => !isCritical(certificate, oid.basicConstraints)),
  },
  {
    line: /^CA cert does not include key usage extension$/,
    why: '-x509_strict: a CA without keyUsage, which RFC 5280 §4.2.1.3 asks of CAs and §6.1.4 (n) does not miss',
    applies: (links) => issuers(links).some(({ extensions }) => extensions.keyUsage === undefined),
  },
  {
    line: /^unsuitable certificate purpose$/,
    why: 'a CA for anyExtendedKeyUsage, which to us allows every purpose below it (RFC 5280 §4.2.1.12)',
    applies: (links) =>
      issuers(links).some(({ extensions: { extKeyUsage } }) => {
        return extKeyUsage?.includes(oid.anyExtendedKeyUsage) === true && !extKeyUsage.includes(oid.clientAuth)
      }),
  },
  {
    line: /^Path length given without key usage keyCertSign$/,
    why: '-x509_strict: a CA without keyUsage, which RFC 5280 §4.2.1.3 asks of CAs and §6.1.4 (n) does not miss',
    applies: (links) =>
      issuers(links).some(({ extensions: { basicConstraints, keyUsage } }) => {
        return basicConstraints?.pathLenConstraint !== undefined && keyUsage === undefined
      }),
  },
  {
    line: /^certificate has expired$/,
    why: 'the second that notAfter names: valid by RFC 5280 §4.1.2.5 (inclusive), over to OpenSSL',
    applies: (links) => links.some(([{ notAfter }]) => notAfter === noon.getTime()),
  },
]

interface Mode {
  readonly name: string
  readonly profile: Partial<PathProfile>
  readonly options: readonly string[]
}

/** Policies are processed in all of them, for OpenSSL does it when it is given one; required in the last two. */
const asUsual: Mode = { name: 'as usual', profile: {}, options: ['-policy', '2.5.29.32.0'] }
const explicit: Mode = {
  name: 'explicit policy',
  profile: { requireExplicitPolicy: true },
  options: ['-explicit_policy', '-policy', '2.5.29.32.0'],
}
const one: Mode = {
  name: 'one policy',
  profile: { requireExplicitPolicy: true, initialPolicySet: ['1.3.5.1'] },
  options: ['-explicit_policy', '-policy', '1.3.5.1'],
}
const modes: readonly Mode[] = [asUsual, asUsual, asUsual, explicit, one]
const usual = ['-x509_strict', '-purpose', 'sslclient']

/** The path we accept; undefined where we refuse. */
async function accepted({ leaf, via, anchors }: Generated, profile: Partial<PathProfile>): Promise<Links | undefined> {
  const input = { certificate: leaf, intermediates: via, trustAnchors: anchors, at: noon, profile }
  const result = await validateCertificationPath(input)
  if (!result.valid) return undefined
  const path = result.path.map((der) => Certificate.parse(der))
  return path.map((certificate, i) => [certificate, path[i + 1] ?? certificate])
}

interface Accepted {
  readonly chain: Generated
  readonly links: Links
}

interface Tally {
  chains: number
  /** Chains of each kind that we accept. */
  kinds: Record<Generated['kind'], number>
  accepted: number
  confirmed: number
  explained: Map<string, number>
  unexplained: string[]
}

function judge(tally: Tally, { chain, links }: Accepted, mode: Mode, finding: Finding): void {
  tally.accepted++
  tally.kinds[chain.kind]++
  if (finding === 'OK') {
    tally.confirmed++
    return
  }
  // It may have said several things, and each of them needs its reason.
  for (const line of finding.split('; ')) {
    const row = explanations.find((each) => each.line.test(line) && each.applies(links))
    if (row === undefined) tally.unexplained.push(`${line} — ${chain.kind} ${chain.seed}, ${mode.name}: ${chain.story}`)
    else tally.explained.set(row.why, (tally.explained.get(row.why) ?? 0) + 1)
  }
}

async function compare(): Promise<Tally> {
  const tally: Tally = {
    chains: 0,
    kinds: { structured: 0, octets: 0 },
    accepted: 0,
    confirmed: 0,
    explained: new Map(),
    unexplained: [],
  }
  const until = performance.now() + milliseconds
  for (let seed = firstSeed; tally.chains < chains && performance.now() < until; ) {
    const ours = new Map<Mode, Accepted[]>(modes.map((mode) => [mode, []]))
    for (let i = 0; i < batch && tally.chains < chains; i++, seed++, tally.chains++) {
      const chain = seed % 2 === 0 ? structuredChain(seed) : mutatedChain(seed)
      const mode = modes[(seed >> 1) % modes.length] as Mode
      const links = await accepted(chain, mode.profile)
      if (links !== undefined) ours.get(mode)?.push({ chain, links })
    }
    for (const [mode, list] of ours) {
      const findings = await opensslVerify(
        list.map(({ chain }) => chain),
        noon,
        [...usual, ...mode.options],
      )
      findings.forEach((finding, i) => {
        judge(tally, list[i] as Accepted, mode, finding)
      })
    }
  }
  return tally
}

describe('against openssl verify', () => {
  test(`what we accept of ${chains} chains that are odd or changed, it accepts`, async () => {
    const tally = await compare()
    if (whole !== undefined) {
      const { explained, unexplained, ...numbers } = tally
      console.log(await opensslVersion(), numbers, Object.fromEntries(explained), unexplained.length)
    }
    expect(tally.unexplained).toEqual([])
    // A generator whose every chain is refused, or accepted, compares nothing.
    expect(tally.accepted).toBeGreaterThan(tally.chains * 0.15)
    expect(tally.accepted).toBeLessThan(tally.chains * 0.85)
    expect(tally.confirmed).toBeGreaterThan(tally.accepted * 0.5)
  }, 3_600_000)

  test('a chain is what its seed says', () => {
    for (const make of [structuredChain, mutatedChain]) {
      const signedPart = ({ leaf }: Generated) => Buffer.from(Certificate.parse(leaf).tbs).toString('hex')
      const good = [1, 2, 3, 4, 5, 6].map((i) => make(i)).find(({ story }) => !story.startsWith('leaf ')) as Generated
      expect(make(good.seed).story).toBe(good.story)
      expect(signedPart(make(good.seed))).toBe(signedPart(good))
      expect(make(good.seed + 1).story).not.toBe(good.story)
    }
  })
})
