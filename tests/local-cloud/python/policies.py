"""What moto leaves out of policies: conditions."""


def install() -> None:
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult

    permitted = IAMPolicyStatement.is_action_permitted

    # moto applies a statement whatever its condition says. The one condition of the template asks for TLS; here all
    # traffic is on loopback and counts as TLS, so a statement about unencrypted requests is about none.
    def with_condition(self, *args, **kwargs):
        condition = self._statement.get("Condition", {})
        if str(condition.get("Bool", {}).get("aws:SecureTransport", "")).lower() == "false":
            return PermissionResult.NEUTRAL
        return permitted(self, *args, **kwargs)

    IAMPolicyStatement.is_action_permitted = with_condition
