import { canonicalText, descriptionOf, digestOf, frozenCopy } from '../description.js'
import { describeProfile } from '../path/profile.js'
import { describeChecker } from '../revocation/checker.js'
import { describeRule } from '../rules/rule.js'
import type { TrustAnchor } from '../trust/trust-snapshot.js'
import { type DangerousSwitch, dangersOf } from './dangers.js'
import { stampOf } from './epoch.js'
import type { Settings } from './options.js'
import type { CertificateDescription, Policy } from './policy.js'

/** The effective policy of an authenticator, as frozen data that JSON can carry. */
export interface PolicyDescription extends Policy {
  /**
   * The first 16 digits of a SHA-256 (hexadecimal) of what decides: the same in every process of this version of the package that is configured the
   * same and has read the same, wherever its files lie and in whichever order they name what they name.
   */
  readonly policyHash: string
  /** Every switch that makes decisions weaker than they are by default, sorted; `proxy:…` those of an authenticator that judges proxies. */
  readonly dangerous: readonly (DangerousSwitch | `proxy:${DangerousSwitch}`)[]
  /** Who hears of decisions: no part of `policyHash`. */
  readonly observers: { readonly log: boolean; readonly onDecision: boolean; readonly auditNames: boolean }
}

const hashDigits = 16

/** What is behind `authenticator.describe()`: worked out when it is asked for, and kept until something was read again. */
export function describing(settings: Settings): () => PolicyDescription {
  let last: { readonly stamp: string; readonly description: PolicyDescription } | undefined
  return () => {
    // Gates have no generation, and little to say.
    const source = descriptionOf(settings.source, settings.source.name)
    const stamp = `${stampOf(settings)} ${canonicalText(source)}`
    if (last?.stamp !== stamp) last = { stamp, description: describe(settings, source) }
    return last.description
  }
}

function describe(settings: Settings, source: Policy['source']): PolicyDescription {
  const { log, onDecision, auditNames } = settings
  const policy = policyOf(settings, source)
  return frozenCopy({
    policyHash: digestOf(policy).slice(0, hashDigits),
    dangerous: dangersOf(policy, settings),
    ...policy,
    observers: { log: log !== undefined, onDecision: onDecision !== undefined, auditNames },
  })
}

function policyOf(settings: Settings, source: Policy['source']): Policy {
  const { trust, intermediates, profile, revocation, rules, exceptions, now } = settings
  const { anchors, pinned, bindsNames } = trust.current()
  return {
    trust: {
      anchors: anchors
        .map((anchor) => ({ ...described(anchor), subject: anchor.certificate.subject.toString() }))
        .sort(inOrder),
      pinned: pinned.map((pin) => ({ ...described(pin), by: pin.by })).sort(inOrder),
      keepsDomainsApart: bindsNames,
      store: trust.describe(),
    },
    intermediates:
      intermediates === undefined
        ? null
        : {
            fingerprints: intermediates
              .current()
              .anchors.map(({ certificate }) => certificate.fingerprint)
              .sort(),
            store: intermediates.describe(),
          },
    source,
    profile: describeProfile(profile),
    revocation: revocation === 'none' ? { kind: 'none' } : describeChecker(revocation),
    rules: rules === undefined ? null : describeRule(rules),
    exceptions: exceptions?.describe() ?? null,
    principal: principalOf(settings),
    clock: now === Date.now ? 'system' : 'custom',
  }
}

function principalOf({ principals, principalFrom }: Settings): Policy['principal'] {
  if (principalFrom !== undefined) return { from: principalFrom }
  return principals === undefined ? null : { from: 'resolve', lifetimeMilliseconds: principals.lifetime }
}

const described = ({ certificate, name }: TrustAnchor): CertificateDescription => ({
  fingerprint: certificate.fingerprint,
  ...(name === undefined ? {} : { set: name }),
  notAfter: new Date(certificate.notAfter).toISOString(),
})

const inOrder = (a: CertificateDescription, b: CertificateDescription) =>
  Number(orderKey(a) > orderKey(b)) - Number(orderKey(a) < orderKey(b))
const orderKey = ({ fingerprint, set = '' }: CertificateDescription) => `${fingerprint} ${set}`
