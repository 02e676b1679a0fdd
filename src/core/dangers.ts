import type { Description, Plain } from '../description.js'
import { type ResolvedProfile, strictProfile } from '../path/profile.js'
import { signatureAlgorithms } from '../path/signature-algorithms.js'
import type { Settings } from './options.js'
import type { Policy } from './policy.js'
import { isUnbound } from './rule-check.js'

type Looks = (policy: Policy, settings: Pick<Settings, 'trust' | 'rules' | 'profile'>) => boolean

/** Every switch by which an operator gets less than what is checked by default, or decides by something else. Names never change. */
export const dangers = {
  'revocation-none': ({ revocation }) => revocation.kind === 'none',
  'revocation-deny-list-only': ({ revocation }) => revocation.kind !== 'none' && knowing(revocation).length === 0,
  'revocation-leaf-only': ({ revocation }) => isLeafOnly(knowing(revocation)),
  'revocation-unknown-allowed': ({ revocation }) => some(revocation, ({ kind }) => kind === 'allowUnknown'),
  'revocation-short-lived-skipped': ({ revocation }) => some(revocation, ({ kind }) => kind === 'skipShortLived'),
  'ocsp-delegates-unchecked': ({ revocation }) => some(revocation, ({ delegates }) => delegates === 'unchecked'),
  'ocsp-old-answers': ({ revocation }) => some(revocation, believesOldAnswers),
  'fetch-private-networks': ({ revocation }) =>
    some(revocation, ({ allowPrivateNetworks: networks }) => listOf(networks).length > 0),
  'extended-key-usage-any': ({ profile }) => profile.extendedKeyUsage === 'any',
  'extended-key-usage-optional': ({ profile }) => !profile.requireExtendedKeyUsage,
  'ca-as-client': ({ profile }) => profile.allowCaAsClient,
  'version-1': ({ profile }) => profile.allowVersion1,
  'weak-signatures': (_, { profile }) => admitsWeakSignatures(profile),
  'weak-keys': ({ profile: { minimumRsaBits, minimumRsaExponent } }) =>
    minimumRsaBits < strictProfile.minimumRsaBits || minimumRsaExponent < strictProfile.minimumRsaExponent,
  'other-curves': ({ profile: { curves } }) => !curves.every((curve) => strictProfile.curves.includes(curve)),
  'profile-limits-raised': ({ profile }) => upperBounds.some((name) => profile[name] > strictProfile[name]),
  exceptions: ({ exceptions }) => Number(exceptions?.count ?? 0) > 0,
  'unbound-rules': (_, { rules, trust }) => rules !== undefined && isUnbound(rules, trust.current()),
  'sha1-thumbprints': ({ rules }) =>
    some(rules, ({ kind, allowsSha1Thumbprints }) => kind === 'thumbprint' || allowsSha1Thumbprints === true),
  'pinned-keys': ({ trust }) => trust.pinned.some(({ by }) => by === 'key'),
  'trust-stale-for-ever': ({ trust, intermediates }) =>
    some([trust.store, intermediates?.store], ({ maxStalenessMilliseconds: most }) => most === 'Infinity'),
  'files-read-once': ({ trust, intermediates, revocation, rules, exceptions }) =>
    some([trust.store, intermediates?.store, revocation, rules, exceptions], ({ watch }) => watch === false),
  'platform-network': ({ source }) => some(source, ({ kind }) => kind === 'platformNetwork'),
  'wide-proxy-range': ({ source }) => some(source, ({ kind, isWide }) => kind === 'proxyAddress' && isWide === true),
  'custom-clock': ({ clock, revocation }) => clock === 'custom' || some(revocation, (each) => each.clock === 'custom'),
} as const satisfies { readonly [name: string]: Looks }

/** The name of a switch that makes decisions weaker than they are by default. */
export type DangerousSwitch = keyof typeof dangers

/** Those that are on; with `proxy:` before, those of an authenticator that judges proxies. Sorted. */
export function dangersOf(
  policy: Policy,
  settings: Parameters<Looks>[1],
): (DangerousSwitch | `proxy:${DangerousSwitch}`)[] {
  const own = (Object.keys(dangers) as DangerousSwitch[]).filter((name) => (dangers[name] as Looks)(policy, settings))
  const judges = nodesOf(policy.source).filter(({ kind }) => kind === 'authenticator')
  const ofProxies = judges.flatMap(({ dangerous }) => listOf(dangerous) as readonly DangerousSwitch[])
  // However many proxies stand in a row.
  const names = ofProxies.map((name) => `proxy:${name.replace(/^proxy:/, '') as DangerousSwitch}` as const)
  return [...own, ...new Set(names)].sort()
}

const upperBounds = [
  'maximumRsaBits',
  'maximumRsaExponent',
  'maxIntermediates',
  'maxSignatures',
  'maxBuildSteps',
  'maxNameComparisons',
  'maxPolicyNodes',
] as const

/** MD5 and SHA-1, and DSA with whatever digest: the size of its keys is not judged. */
function admitsWeakSignatures(profile: ResolvedProfile): boolean {
  const admitted = [...profile.signatureAlgorithms].map((identifier) => signatureAlgorithms.get(identifier))
  return admitted.some((known) => known?.kind === 'dsa' || known?.digest === 'sha1' || known?.digest === 'md5')
}

/** Older than what `ocsp()` believes by default, or by clocks that are further apart. */
function believesOldAnswers({ kind, maxAgeSeconds, skewSeconds }: Description): boolean {
  if (kind !== 'ocsp') return false
  const { withNextUpdate, withoutNextUpdate } = (maxAgeSeconds ?? {}) as { [name: string]: number }
  return Number(withNextUpdate) > 604_800 || Number(withoutNextUpdate) > 300 || Number(skewSeconds) > 300
}

/** The checkers in a checker that may know that a certificate is good: all but deny lists. */
function knowing(checker: Description): readonly Description[] {
  const { kind, inOrder, checker: inner } = checker
  if (kind === 'denyList') return []
  if (kind === 'firstDefinite') return (listOf(inOrder) as readonly Description[]).flatMap(knowing)
  const isAround = kind === 'allowUnknown' || kind === 'skipShortLived'
  return isAround && inner !== undefined ? knowing(inner as Description) : [checker]
}

/** An application's own description may use our words for something else. */
const listOf = (value: Plain): readonly Plain[] => (Array.isArray(value) ? value : [])

const isLeafOnly = (checkers: readonly Description[]) =>
  checkers.length > 0 && checkers.every(({ leafOnly }) => leafOnly === true)

const some = (value: Plain, looks: (node: Description) => boolean) => nodesOf(value).some(looks)

/** Every description in a value, itself included. */
function nodesOf(value: Plain): Description[] {
  if (typeof value !== 'object' || value === null) return []
  const inner = Object.values(value).flatMap(nodesOf)
  return 'kind' in value ? [value as Description, ...inner] : inner
}
