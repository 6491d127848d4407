"""The pages and their menu."""

from pathlib import Path

import streamlit as st

from app_streamlit.views import collector, policies, trader

# An icon of our own: Streamlit would fetch its symbols from another host.
ICON = Path(__file__).with_name("icon.png")
st.set_page_config(page_title="kalshiflow", page_icon=ICON, layout="wide")
st.navigation(
    [
        st.Page(
            collector.page,
            title="Collector",
            icon=":material/sensors:",
            url_path="collector",
            default=True,
        ),
        st.Page(
            policies.page, title="Policies", icon=":material/model_training:", url_path="policies"
        ),
        st.Page(
            trader.page, title="Trader", icon=":material/candlestick_chart:", url_path="trader"
        ),
    ]
).run()
