// Runs `npm test` on every supported Node line: `npm run test:lines -- [lines…] [jest arguments…]`.
import { readFileSync } from 'node:fs'
import { runOnNodeLine } from './on-node-line.mjs'

const supported = ['20', '22', '24', '26']
const given = process.argv.slice(2)
const lines = given.filter((arg) => supported.includes(arg))
const jestArguments = given.filter((arg) => !supported.includes(arg))

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
const [, ...jest] = scripts.test.split(' ') // the words after `node`: one definition of what the suite is

const results = []
for (const line of lines.length > 0 ? lines : supported) {
  console.log(`\n== jest on Node ${line}`)
  results.push({ line, passed: runOnNodeLine(line, [...jest, ...jestArguments]) === 0 })
}

console.log()
for (const { line, passed } of results) console.log(`Node ${line}: ${passed ? 'pass' : 'FAIL'}`)
process.exit(results.every(({ passed }) => passed) ? 0 : 1)
