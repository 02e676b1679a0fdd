/**
 * The policy part of RFC 5280 §6.1, step by step with the valid_policy_tree as the RFC draws it: a tree of nodes, one for every way a policy was
 * reached. Slow, exponential, and written from the text alone, so that the product's graph (RFC 9618) has something to be compared with.
 */

export const anyPolicy = '2.5.29.32.0'

/** What one certificate says about policies; undefined: the extension is absent. */
export interface PolicyCertificate {
  readonly selfIssued: boolean
  readonly policies?: readonly string[] | undefined
  readonly mappings?: readonly (readonly [issuerDomain: string, subjectDomain: string])[] | undefined
  readonly requireExplicit?: number | undefined
  readonly inhibitMapping?: number | undefined
  readonly inhibitAny?: number | undefined
}

/** §6.1.1 (c), (e), (f), (g). */
export interface PolicyInputs {
  readonly initialPolicies: readonly string[]
  readonly explicit: boolean
  readonly inhibitMapping: boolean
  readonly inhibitAny: boolean
}

export interface PolicyOutcome {
  readonly valid: boolean
  /** §6.1.6, the user-constrained-policy-set, sorted. */
  readonly policies: readonly string[]
}

interface Node {
  validPolicy: string
  expected: string[]
  parent: Node | undefined
  children: Node[]
}

/** @param path from the certificate the anchor issued to the end entity: certificates 1 to n of the RFC */
export function policyTree(path: readonly PolicyCertificate[], inputs: PolicyInputs): PolicyOutcome {
  const n = path.length
  const refused: PolicyOutcome = { valid: false, policies: [] }

  // §6.1.2 (a), (d), (e), (f)
  let tree: Node | undefined = { validPolicy: anyPolicy, expected: [anyPolicy], parent: undefined, children: [] }
  let explicitPolicy = inputs.explicit ? 0 : n + 1
  let inhibitAnyPolicy = inputs.inhibitAny ? 0 : n + 1
  let policyMapping = inputs.inhibitMapping ? 0 : n + 1

  for (let i = 1; i <= n; i++) {
    const certificate = path[i - 1] as PolicyCertificate

    // §6.1.3 (d)
    if (certificate.policies !== undefined && tree !== undefined) {
      // (1)
      for (const policy of certificate.policies) {
        if (policy === anyPolicy) continue
        // (i)
        let matched = false
        for (const node of atDepth(tree, i - 1)) {
          if (!node.expected.includes(policy)) continue
          add(node, policy, [policy])
          matched = true
        }
        // (ii)
        if (matched) continue
        for (const node of atDepth(tree, i - 1)) if (node.validPolicy === anyPolicy) add(node, policy, [policy])
      }
      // (2)
      if (certificate.policies.includes(anyPolicy) && (inhibitAnyPolicy > 0 || (i < n && certificate.selfIssued))) {
        for (const node of atDepth(tree, i - 1)) {
          for (const policy of node.expected) {
            if (!node.children.some((child) => child.validPolicy === policy)) add(node, policy, [policy])
          }
        }
      }
      // (3)
      tree = pruned(tree, i - 1)
    }
    // (e)
    if (certificate.policies === undefined) tree = undefined
    // (f)
    if (explicitPolicy === 0 && tree === undefined) return refused

    if (i === n) break
    // §6.1.4 (a)
    const mappings = certificate.mappings ?? []
    if (mappings.some((pair) => pair.includes(anyPolicy))) return refused
    // (b)
    for (const issuerDomain of new Set(mappings.map(([policy]) => policy))) {
      if (tree === undefined) break
      const subjectDomains = mappings.filter(([policy]) => policy === issuerDomain).map(([, policy]) => policy)
      const nodes = atDepth(tree, i).filter((node) => node.validPolicy === issuerDomain)
      if (policyMapping > 0) {
        // (1)
        for (const node of nodes) node.expected = subjectDomains
        if (nodes.length > 0) continue
        const [any] = atDepth(tree, i).filter((node) => node.validPolicy === anyPolicy)
        if (any?.parent !== undefined) add(any.parent, issuerDomain, subjectDomains)
      } else {
        // (2)
        for (const node of nodes) remove(node)
        tree = pruned(tree, i - 1)
      }
    }
    // (h)
    if (!certificate.selfIssued) {
      if (explicitPolicy > 0) explicitPolicy--
      if (policyMapping > 0) policyMapping--
      if (inhibitAnyPolicy > 0) inhibitAnyPolicy--
    }
    // (i) (j)
    explicitPolicy = Math.min(explicitPolicy, certificate.requireExplicit ?? explicitPolicy)
    policyMapping = Math.min(policyMapping, certificate.inhibitMapping ?? policyMapping)
    inhibitAnyPolicy = Math.min(inhibitAnyPolicy, certificate.inhibitAny ?? inhibitAnyPolicy)
  }

  // §6.1.5 (a) (b)
  if (explicitPolicy > 0) explicitPolicy--
  if ((path[n - 1] as PolicyCertificate).requireExplicit === 0) explicitPolicy = 0
  // (g)
  tree = intersection(tree, inputs.initialPolicies, n)
  if (explicitPolicy === 0 && tree === undefined) return refused
  const found = tree === undefined ? [] : policySet(tree, n)
  return { valid: true, policies: [...new Set(found)].sort() }
}

/** §6.1.5 (g). */
function intersection(tree: Node | undefined, initialPolicies: readonly string[], n: number): Node | undefined {
  // (i) (ii)
  if (tree === undefined || initialPolicies.includes(anyPolicy)) return tree
  // (iii) 1, 2
  const nodeSet = validPolicyNodeSet(tree, n)
  for (const node of nodeSet) {
    if (node.validPolicy !== anyPolicy && !initialPolicies.includes(node.validPolicy)) remove(node)
  }
  // (iii) 3
  for (const any of atDepth(tree, n).filter((node) => node.validPolicy === anyPolicy)) {
    for (const policy of initialPolicies) {
      if (!nodeSet.some((node) => node.validPolicy === policy)) add(any.parent as Node, policy, [policy])
    }
    remove(any)
  }
  // (iii) 4
  return pruned(tree, n - 1)
}

/** The nodes whose parent is anyPolicy. */
const validPolicyNodeSet = (tree: Node, n: number): Node[] =>
  [...Array(n).keys()].flatMap((depth) =>
    atDepth(tree, depth + 1).filter((node) => node.parent?.validPolicy === anyPolicy),
  )

/** The policies of the anchor's domain; anyPolicy where the last certificate still has it. */
const policySet = (tree: Node, n: number): string[] => [
  ...validPolicyNodeSet(tree, n).flatMap(({ validPolicy }) => (validPolicy === anyPolicy ? [] : [validPolicy])),
  ...(atDepth(tree, n).some(({ validPolicy }) => validPolicy === anyPolicy) ? [anyPolicy] : []),
]

function add(parent: Node, validPolicy: string, expected: readonly string[]): void {
  parent.children.push({ validPolicy, expected: [...expected], parent, children: [] })
}

function remove(node: Node): void {
  const siblings = (node.parent as Node).children
  siblings.splice(siblings.indexOf(node), 1)
}

function atDepth(tree: Node, depth: number): Node[] {
  let level = [tree]
  for (let i = 0; i < depth; i++) level = level.flatMap(({ children }) => children)
  return level
}

/** Without the nodes down to `depth` that have no children, repeated until there are none; undefined once the root is gone. */
function pruned(tree: Node, depth: number): Node | undefined {
  for (let level = depth; level > 0; level--) {
    for (const node of atDepth(tree, level)) if (node.children.length === 0) remove(node)
  }
  return tree.children.length === 0 ? undefined : tree
}
