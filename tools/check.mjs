// Everything about the package that is not behaviour, in one go: `npm run check`.
import { spawnSync } from 'node:child_process'

const jest = ['node', '--experimental-vm-modules', 'node_modules/jest/bin/jest.js']
const steps = {
  'lint and format': ['npm', 'run', '--silent', 'lint'],
  types: ['npm', 'run', '--silent', 'types'],
  architecture: [...jest, 'test/architecture.test.ts'],
  packaging: [...jest, '--config', 'jest.packaging.config.mjs'],
}

const results = Object.entries(steps).map(([name, [command, ...args]]) => {
  console.log(`\n== ${name}`)
  return { name, passed: spawnSync(command, args, { stdio: 'inherit' }).status === 0 }
})

console.log()
for (const { name, passed } of results) console.log(`${passed ? 'pass' : 'FAIL'}  ${name}`)
process.exit(results.every(({ passed }) => passed) ? 0 : 1)
