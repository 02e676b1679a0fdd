import type { Certificate } from '../x509/certificate.js'
import type { PolicyMapping } from '../x509/extensions.js'
import { oid } from '../x509/oid.js'
import type { Budget } from './budget.js'
import { refuseExtension } from './extension-profile.js'

/** A node of the graph: a policy that is valid at one depth, and the policies one depth up that lead to it. */
interface Node {
  /** undefined: its parent is anyPolicy, which is to say that the policy is one of the trust anchor's domain. */
  readonly parents: ReadonlySet<string> | readonly [string] | undefined
}

/** The valid policies of one depth. */
interface Level {
  nodes: Map<string, Node>
  hasAnyPolicy: boolean
}

/**
 * The valid_policy_graph of RFC 9618: RFC 5280's valid_policy_tree with one node for each policy and depth, so that its size is at most depth times
 * policies, where the tree's is exponential (CVE-2023-0464). One graph serves one path.
 */
export class PolicyGraph {
  readonly #levels: Level[] = []
  readonly #budget: Budget
  /** What the certificates issued next may assert: the last level after mapping. */
  #expected: Level = anything
  /** Without a mapping each policy is expected under its own name. */
  #isMapped = false

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** False once no policy is valid: valid_policy_graph is NULL. */
  get isValid(): boolean {
    return this.#expected.hasAnyPolicy || this.#expected.nodes.size > 0
  }

  /** RFC 9618 §5.3, RFC 5280 §6.1.3 (d) and (e): what a certificate asserts, of what was expected of it. */
  addCertificate({ extensions }: Certificate, anyPolicyCounts: boolean): void {
    const expected = this.#expected
    const asserted = extensions.certificatePolicies
    if (asserted === undefined) {
      this.#expect(nothing)
      return
    }
    const level: Level = { nodes: new Map(), hasAnyPolicy: false }
    let assertsAny = false
    for (const { policyIdentifier: policy } of asserted) {
      if (policy === oid.anyPolicy) assertsAny = anyPolicyCounts
      // (d)(1)(i): a policy that was expected is valid if it is asserted.
      else if (expected.nodes.has(policy)) this.#add(level, policy, this.#parentsOf(policy))
      // (d)(1)(ii): anyPolicy one depth up lets every asserted policy begin here.
      else if (expected.hasAnyPolicy) this.#add(level, policy, undefined)
    }
    if (assertsAny) {
      // (d)(2): it asserts whatever else was expected.
      for (const policy of expected.nodes.keys()) {
        if (!level.nodes.has(policy)) this.#add(level, policy, this.#parentsOf(policy))
      }
      level.hasAnyPolicy = expected.hasAnyPolicy
    }
    this.#expect(level)
  }

  #expect(level: Level): void {
    this.#levels.push(level)
    this.#expected = level
    this.#isMapped = false
  }

  #parentsOf(policy: string): Node['parents'] {
    return this.#isMapped ? this.#expected.nodes.get(policy)?.parents : [policy]
  }

  /** RFC 5280 §6.1.4 (a) and (b): what the issuer's policies are called below it. */
  addMappings(certificate: Certificate, depth: number, mappingAllowed: boolean): void {
    const { policyMappings } = certificate.extensions
    if (policyMappings === undefined) return
    if (policyMappings.some(mapsAnyPolicy)) {
      throw refuseExtension(certificate, oid.policyMappings, depth, 'it maps anyPolicy')
    }
    const level = this.#levels.at(-1) as Level
    const mapped = new Set(policyMappings.map(({ issuerDomainPolicy }) => issuerDomainPolicy))
    if (!mappingAllowed) {
      // (b)(2): a policy that would be mapped ends here.
      for (const policy of mapped) level.nodes.delete(policy)
      return
    }
    const next = { nodes: new Map<string, { parents: Set<string> }>(), hasAnyPolicy: level.hasAnyPolicy }
    for (const policy of level.nodes.keys()) if (!mapped.has(policy)) this.#connect(next, policy, policy)
    for (const { issuerDomainPolicy, subjectDomainPolicy } of policyMappings) {
      // (b)(1): under anyPolicy a mapped policy is valid although nobody asserted it.
      if (!level.nodes.has(issuerDomainPolicy) && level.hasAnyPolicy) this.#add(level, issuerDomainPolicy, undefined)
      if (level.nodes.has(issuerDomainPolicy)) this.#connect(next, subjectDomainPolicy, issuerDomainPolicy)
    }
    this.#expected = next
    this.#isMapped = true
  }

  /**
   * RFC 9618 §5.5 (g): the policies of the trust anchor's domain under which the whole path is valid, within those the caller accepts.
   *
   * @param accepted the user-initial-policy-set; undefined for any-policy
   */
  userConstrained(accepted: ReadonlySet<string> | undefined): ReadonlySet<string> {
    const authority = this.#authorityConstrained()
    if (accepted === undefined) return authority
    if (authority.has(oid.anyPolicy)) return accepted
    return new Set([...authority].filter((policy) => accepted.has(policy)))
  }

  /** Walks up from the end entity: a policy without a parent belongs to the anchor's domain. */
  #authorityConstrained(): ReadonlySet<string> {
    const last = this.#levels.at(-1)
    if (last === nothing) return none
    const found = new Set<string>()
    if (last === undefined || last.hasAnyPolicy) found.add(oid.anyPolicy)
    let reached = new Set(last?.nodes.keys())
    for (let depth = this.#levels.length - 1; depth >= 0 && reached.size > 0; depth--) {
      const { nodes } = this.#levels[depth] as Level
      const above = new Set<string>()
      for (const policy of reached) {
        const node = nodes.get(policy)
        if (node === undefined) continue
        if (node.parents === undefined) found.add(policy)
        else for (const parent of node.parents) above.add(parent)
      }
      reached = above
    }
    return found
  }

  #add(level: Level, policy: string, parents: Node['parents']): void {
    this.#budget.spendPolicyNode()
    level.nodes.set(policy, { parents })
  }

  #connect({ nodes }: { nodes: Map<string, { parents: Set<string> }> }, policy: string, parent: string): void {
    const known = nodes.get(policy)
    if (known !== undefined) known.parents.add(parent)
    else {
      this.#budget.spendPolicyNode()
      nodes.set(policy, { parents: new Set([parent]) })
    }
  }
}

/** Above the first certificate any policy is. */
const anything: Level = { nodes: new Map(), hasAnyPolicy: true }

/** No policy is valid. Shared, because it is what most private paths consist of; nothing writes to it. */
const nothing: Level = { nodes: new Map(), hasAnyPolicy: false }

const none: ReadonlySet<string> = new Set()

const mapsAnyPolicy = ({ issuerDomainPolicy, subjectDomainPolicy }: PolicyMapping) =>
  issuerDomainPolicy === oid.anyPolicy || subjectDomainPolicy === oid.anyPolicy
